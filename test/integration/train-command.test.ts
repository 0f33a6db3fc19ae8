import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { runCommand } from '../../src/cli/run-command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const WINE = fileURLToPath(new URL('../../examples/data/wine.csv', import.meta.url));

const SPEC = {
  dataset: WINE,
  target: 'kind',
  architecture: { kind: 'mlp' },
  optimizer: { kind: 'adam', learningRate: 0.01 },
  epochs: 3,
  seed: 1,
  publish: { model: 'wine' },
};

interface Started {
  /** Ctrl-C. */
  interrupt(): void;
  readonly out: () => string;
  readonly err: () => string;
  readonly status: Promise<number>;
}

async function specFile(spec: unknown): Promise<string> {
  const file = join(await temporaryFolder(), 'spec.json');
  await writeFile(file, JSON.stringify(spec));
  return file;
}

function start(args: readonly string[], { isTTY = false } = {}): Started {
  let [out, err] = ['', ''];
  const controller = new AbortController();
  const status = runCommand(['train', ...args], COMMANDS, {
    out: { write: (text) => void (out += text), isTTY, columns: 80 },
    err: { write: (text) => void (err += text), isTTY, columns: 80 },
    env: process.env,
    interrupted: controller.signal,
  });
  return { interrupt: () => controller.abort(), out: () => out, err: () => err, status };
}

describe('slipway train', () => {
  it('uploads a dataset, submits to a server, tells of every epoch in plain lines, and ends with 0', async () => {
    const { address } = await runningServer([]);
    const { status, out, err } = start([await specFile(SPEC), '--server', address, '--plot']);
    expect(await status, err()).toBe(0);
    expect(err()).toBe('');
    expect(out()).not.toContain('\u001B');
    const lines = out().trimEnd().split('\n');
    expect(lines[0]).toBe('dataset wine: 178 rows');
    expect(lines[1]).toMatch(/^job \S+ on http/);
    expect(lines[2]).toMatch(/^142 rows to train on, 18 for validation, 18 for testing; 3075 weights, onnx cpu$/);
    expect(lines.filter((line) => line.startsWith('epoch '))).toEqual(
      [1, 2, 3].map((epoch) => expect.stringMatching(`^epoch ${epoch}/3  loss \\d`)),
    );
    expect(out()).toContain('* loss   o validation-loss, epochs 1 to 3');
    expect(lines.at(-2)).toMatch(/^Measured on the test rows: loss .*accuracy /);
    expect(lines.at(-1)).toBe('Published as version 1 of wine.');
  });

  it('takes a dataset that is there already as it is, and gives other data another name', async () => {
    const { address } = await runningServer([]);
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'spec.json'), JSON.stringify({ ...SPEC, dataset: './wine.csv', epochs: 1, publish: undefined }));
    const text = await readFile(WINE, 'utf8');
    for (const [content, names] of [
      [text, ['wine']],
      [text, ['wine']],
      [text.trimEnd().split('\n').slice(0, -1).join('\n'), ['wine', expect.stringMatching(/^wine-[0-9a-f]{8}$/)]],
    ] as const) {
      await writeFile(join(folder, 'wine.csv'), content);
      const { status, out } = start([join(folder, 'spec.json'), '--server', address]);
      expect(await status).toBe(0);
      expect(out()).toContain('Nothing was to be published.');
      const { datasets } = (await (await fetch(`${address}/datasets`)).json()) as { datasets: { name: string }[] };
      expect(datasets.map(({ name }) => name)).toEqual(names);
    }
  });

  it('uploads a folder of images by class', async () => {
    const { address } = await runningServer([]);
    const folder = await temporaryFolder();
    for (const [label, level] of [
      ['dark', 20],
      ['light', 220],
    ] as const) {
      await mkdir(join(folder, 'shades', label), { recursive: true });
      for (let index = 0; index < 12; index += 1) {
        const image = sharp({ create: { width: 8, height: 8, channels: 3, background: { r: level + index, g: level, b: level } } });
        await image.png().toFile(join(folder, 'shades', label, `${index}.png`));
      }
    }
    const spec = { dataset: './shades/', architecture: { kind: 'linear' }, epochs: 1, publish: { model: 'shades' } };
    await writeFile(join(folder, 'spec.json'), JSON.stringify(spec));
    const { status, out, err } = start([join(folder, 'spec.json'), '--server', address]);
    expect(await status, err()).toBe(0);
    expect(out()).toContain('dataset shades: 24 rows\n');
    expect(out()).toContain('Published as version 1 of shades.');
    // Known by its digest.
    expect(await start([join(folder, 'spec.json'), '--server', address]).status).toBe(0);
    expect(((await (await fetch(`${address}/datasets`)).json()) as { datasets: unknown[] }).datasets).toHaveLength(1);
  });

  it('draws over one line on a terminal', async () => {
    const { address } = await runningServer([]);
    const { status, out } = start([await specFile(SPEC), '--server', address], { isTTY: true });
    expect(await status).toBe(0);
    const drawn = out().split('\r\u001B[K');
    expect(drawn).toContainEqual(expect.stringMatching(/^epoch 3\/3 {2}\[█{20}\] 100 % {2}loss \S+ {2}accuracy [\d.]+/));
    expect(out()).not.toMatch(/^epoch/m);
  });

  it('prints events and the job as lines of JSON', async () => {
    const { address } = await runningServer([]);
    const { status, out } = start([await specFile(SPEC), '--server', address, '--json']);
    expect(await status).toBe(0);
    const lines = out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event?: { type: string }; job?: object });
    expect(lines[0]).toEqual({ dataset: { name: 'wine', rows: 178 } });
    expect(lines.filter(({ event }) => event?.type === 'epoch')).toHaveLength(3);
    expect(lines.at(-1)!.job).toMatchObject({ state: 'succeeded', result: { published: { model: 'wine', version: 1 } } });
  });

  it('ends with 1 and the reason when the job fails or is refused', async () => {
    const { address } = await runningServer([]);
    const diverging = await specFile({
      ...SPEC,
      target: 'alcohol',
      architecture: { kind: 'linear' },
      optimizer: { kind: 'sgd', learningRate: 100 },
      epochs: 100,
    });
    const failed = start([diverging, '--server', address]);
    expect(await failed.status).toBe(1);
    expect(failed.out()).toMatch(/^The job \S+ has failed: The loss became /m);
    const refused = start([await specFile({ ...SPEC, target: 'sort' }), '--server', address]);
    expect(await refused.status).toBe(1);
    expect(refused.err()).toMatch(/^slipway train: COLUMN_NOT_FOUND: The dataset "wine" has no column "sort"/);
  });

  it('leaves the job to the server at Ctrl-C and says how to go on; it can be followed and cancelled', async () => {
    const { address } = await runningServer([]);
    const file = await specFile({ ...SPEC, epochs: 100_000 });
    const left = start([file, '--server', address]);
    await vi.waitFor(() => expect(left.out()).toMatch(/^epoch 1\//m), { timeout: 20_000 });
    left.interrupt();
    expect(await left.status).toBe(130);
    const [, id = ''] = /--cancel (\S+) --server/.exec(left.err())!;
    expect((await (await fetch(`${address}/train-jobs/${id}`)).json()) as object).toMatchObject({ state: 'running' });

    const followed = start(['--follow', id, '--server', address]);
    await vi.waitFor(() => expect(followed.out()).toMatch(/^epoch 1\//m), { timeout: 20_000 });
    const cancelled = start(['--cancel', id, '--server', address]);
    expect(await cancelled.status).toBe(0);
    expect(cancelled.err()).toBe(`The job ${id} is cancelling.\n`);
    expect(await followed.status).toBe(1);
    expect(followed.out()).toContain(`The job ${id} was cancelled: Cancelled by request.`);
  });

  it('gives an upload up at Ctrl-C', async () => {
    const asked: string[] = [];
    const silent = createServer(({ url }) => void asked.push(url!)).listen(0, '127.0.0.1');
    onTestFinished(() => silent.close().closeAllConnections());
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { status, err, interrupt } = start([await specFile(SPEC), '--server', `http://127.0.0.1:${port}`]);
    await vi.waitFor(() => expect(asked).toEqual(['/datasets/wine']), { timeout: 10_000 });
    interrupt();
    expect(await status).toBe(130);
    expect(err()).toBe('Interrupted before the job was submitted.\n');
  });

  it('submits and does not wait with --detach', async () => {
    const { address } = await runningServer([]);
    await post(address, '/datasets?name=wine', await readFile(WINE), 'text/csv');
    const { status, out } = start([await specFile({ ...SPEC, dataset: 'wine' }), '--server', address, '--detach', '--json']);
    expect(await status).toBe(0);
    expect((await fetch(`${address}/train-jobs/${out().trim()}`)).status).toBe(200);
  });

  it('trains without a server and publishes to the model repository; Ctrl-C cancels', async () => {
    const models = join(await temporaryFolder(), 'models');
    // What another server is about to publish must not be touched.
    await mkdir(join(models, '.incoming', 'other'), { recursive: true });
    const first = start([await specFile(SPEC), '--models', models]);
    expect(await first.status, first.err()).toBe(0);
    expect(first.out()).toContain('Published as version 1 of wine.');
    expect(await readdir(join(models, 'wine', '1'))).toContain('slipway.json');
    expect(await readdir(join(models, '.incoming'))).toEqual(['other']);

    const second = start([await specFile({ ...SPEC, epochs: 100_000 }), '--models', models]);
    await vi.waitFor(() => expect(second.out()).toMatch(/^epoch 1\//m), { timeout: 20_000 });
    second.interrupt();
    expect(await second.status).toBe(130);
    expect(second.err()).toBe('The training is cancelled.\n');
    expect(await readdir(join(models, 'wine'))).toEqual(['1']);
  });

  it.each([
    [[], /a spec is missing/],
    [['a.json', '--follow', 'x'], /one spec, or --follow, or --cancel/],
    [['a.json', '--server', 'localhost:8080'], /--server takes an address such as http:\/\/localhost:8080, not localhost:8080/],
    [['a.json', '--server', 'http://localhost:1', '--models', 'm'], /--models is for training on this machine/],
    [['a.json', '--detach'], /--detach needs --server/],
    [['a.json', '--server', 'http://localhost:1', '--header', 'x'], /--header takes NAME:VALUE, not x/],
    [['a.json', '--foo'], /--foo/],
  ])('does not understand %j', async (args, message) => {
    const { status, err } = start(args);
    expect(await status).toBe(2);
    expect(err()).toMatch(message);
  });

  it('says what is wrong with a spec, a dataset or the address of a server', async () => {
    const folder = await temporaryFolder();
    const list = await specFile([]);
    const broken = join(folder, 'broken.json');
    await writeFile(broken, '{');
    for (const [args, message] of [
      [[join(folder, 'none.json')], /there is no file .*none\.json/],
      [[broken], /broken\.json is not JSON: /],
      [[list], /spec\.json must be a JSON object/],
      [[await specFile({ ...SPEC, dataset: './none.csv' })], /there is no dataset at .*none\.csv; a path is taken from where the spec is/],
      [[await specFile({ ...SPEC, dataset: 'wine' })], /must be a path with a slash/],
      [
        [await specFile({ ...SPEC, dataset: 'wine' }), '--server', 'http://127.0.0.1:1'],
        /There is no answer from http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
      ],
    ] as const) {
      const { status, err } = start(args);
      expect(await status).toBe(1);
      expect(err()).toMatch(message);
    }
  });
});
