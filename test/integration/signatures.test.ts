import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { slipway } from '../helpers/cli.ts';
import { tarOf } from '../helpers/archives.ts';
import { failureOf, post } from '../helpers/http.ts';
import { jobsClient } from '../helpers/jobs.ts';
import { runningServer, type RunningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const DIGITS = fileURLToPath(new URL('../../models/digits/1', import.meta.url));
const LAYERS = fileURLToPath(new URL('../fixtures/models/digits-layers/1', import.meta.url));
const WINE = fileURLToPath(new URL('../../examples/data/wine.csv', import.meta.url));

/** For what the server finds out by itself, on a busy machine. */
const SOON = { timeout: 30_000 };

interface Keys {
  readonly privateFile: string;
  readonly publicFile: string;
}

async function keys(): Promise<Keys> {
  const folder = await temporaryFolder();
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const write = async (name: string, key: KeyObject, type: 'pkcs8' | 'spki'): Promise<string> => {
    await writeFile(join(folder, name), key.export({ format: 'pem', type }));
    return join(folder, name);
  };
  return { privateFile: await write('key', privateKey, 'pkcs8'), publicFile: await write('key.pub', publicKey, 'spki') };
}

interface Described {
  readonly state: string;
  readonly reason: string;
  readonly restarts: number;
  readonly engine?: string;
  readonly instances: readonly { readonly state: string; readonly pid?: number }[];
}

/** A copy of the bundled version, or of another, signed by the command. */
async function signedDigits({ privateFile }: Keys, from = DIGITS): Promise<string> {
  const folder = join(await temporaryFolder(), '1');
  await cp(from, folder, { recursive: true });
  expect(await slipway(['package', 'sign', folder, '--key', privateFile])).toMatchObject({ status: 0, err: '' });
  return folder;
}

const upload = ({ address }: RunningServer, body: Buffer, contentType = 'application/octet-stream'): Promise<Response> =>
  post(address, '/models/sent/versions', body, contentType);

async function filesIn(folder: string): Promise<Record<string, Buffer>> {
  const names = await readdir(folder);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

describe('a server that takes signed versions only', () => {
  it('serves what is signed by a trusted key, however it comes, and says by whom', async () => {
    const pair = await keys();
    const folder = await signedDigits(pair);
    const slip = `${folder}.slip`;
    expect(await slipway(['package', 'sign', folder, '--key', pair.privateFile, '--out', slip])).toMatchObject({ status: 0 });
    const verified = await slipway(['package', 'verify', slip, '--trust', pair.publicFile]);
    expect(verified).toMatchObject({ status: 0, err: '' });
    const signedBy = /signed by (\S+)/.exec(verified.out)![1]!;

    const compressed = `${slip}.zst`;
    const again = await slipway(['package', 'sign', slip, '--key', pair.privateFile, '--out', compressed]);
    expect(again).toMatchObject({ status: 0, out: /\.slip\.zst: signed by \S+, \d+ bytes \(\d+ uncompressed, 1\.\d\d times as many\)/ });
    expect(await slipway(['package', 'verify', compressed, '--trust', pair.publicFile])).toMatchObject({ status: 0, err: '' });

    const running = await runningServer([], { packages: { requireSignedBy: pair.publicFile } });
    for (const body of [await readFile(slip), await readFile(compressed), await tarOf(await filesIn(folder))])
      expect(await (await upload(running, body)).json()).toMatchObject({ state: 'ready', signedBy });
    await cp(folder, join(running.models, 'dropped', '1'), { recursive: true });
    await vi.waitFor(async () => {
      const answer = await fetch(`${running.address}/models/dropped/versions/1`);
      expect(await answer.json()).toMatchObject({ state: 'ready', signedBy });
    }, SOON);
    // What is downloaded is still signed.
    for (const [format, file] of Object.entries({ slip, 'slip.zst': compressed })) {
      const download = await fetch(`${running.address}/models/dropped/versions/1/package?format=${format}`);
      expect(Buffer.from(await download.arrayBuffer()).equals(await readFile(file))).toBe(true);
    }
  });

  it('loads nothing else, and says why', async () => {
    const pair = await keys();
    const running = await runningServer(['digits'], { packages: { requireSignedBy: pair.publicFile } });
    const { address, models } = running;
    // In the folder when the server starts, and put there while it runs.
    expect(await (await fetch(`${address}/models/digits/versions/1`)).json()).toMatchObject({ state: 'failed', reason: /is not signed/ });
    expect((await post(address, '/predict', '{"model":"digits","inputs":[]}')).status).toBe(409);
    await cp(await signedDigits(await keys()), join(models, 'strange', '1'), { recursive: true });
    const changed = await signedDigits(pair);
    await writeFile(join(changed, 'notes.txt'), 'later');
    await cp(changed, join(models, 'changed', '1'), { recursive: true });
    for (const [name, reason] of [
      ['strange', /which is not trusted here/],
      ['changed', /does not cover notes\.txt/],
    ] as const)
      await vi.waitFor(async () => {
        expect(await (await fetch(`${address}/models/${name}/versions/1`)).json()).toMatchObject({ state: 'failed', reason });
      }, SOON);

    const onnx = await readFile(join(DIGITS, 'model.onnx'));
    const uploads = [
      await upload(running, onnx, 'application/onnx'),
      await upload(running, await tarOf(await filesIn(DIGITS))),
      await upload(running, await tarOf(await filesIn(await signedDigits(await keys())))),
    ];
    for (const answer of uploads) expect(await failureOf(answer)).toMatchObject({ status: 403, code: 'UNTRUSTED_PACKAGE' });
    expect(await failureOf(await upload(running, await tarOf(await filesIn(changed))))).toMatchObject({
      status: 400,
      code: 'INVALID_SIGNATURE',
    });
    const overridden = await post(
      address,
      '/v2/repository/models/sent/load',
      JSON.stringify({ parameters: { config: '{}', 'file:1/model.onnx': onnx.toString('base64') } }),
    );
    expect([overridden.status, await overridden.text()]).toEqual([403, expect.stringContaining('is not signed')]);
    expect(await readdir(models)).not.toContain('sent');
  });

  it.each([
    ['one process', DIGITS, 1],
    ['two processes', DIGITS, 2],
    ['a compiled model', LAYERS, 1],
  ])('starts no process again with files that it has refused: %s', async (_, from, instances) => {
    const pair = await keys();
    const { address, models } = await runningServer([], {
      packages: { requireSignedBy: pair.publicFile },
      runners: { instances, restartBackoffMs: 10 },
    });
    const folder = join(models, 'digits', '1');
    await cp(await signedDigits(pair, from), folder, { recursive: true });
    const version = async (): Promise<Described> => (await (await fetch(`${address}/models/digits/versions/1`)).json()) as Described;
    const ready = async (restarts: number): Promise<void> =>
      vi.waitFor(async () => {
        const found = await version();
        expect(found).toMatchObject({ state: 'ready', engine: 'onnx', restarts });
        expect(found.instances.map(({ state }) => state)).toEqual(Array.from({ length: instances }, () => 'ready'));
      }, SOON);
    const kill = async (): Promise<void> => {
      for (const { pid } of (await version()).instances) process.kill(pid!, 'SIGKILL');
    };
    await ready(0);
    await kill();
    await ready(instances); // what still fits its signature is started again

    await writeFile(join(folder, 'notes.txt'), 'later');
    const reason = expect.stringContaining('does not cover notes.txt') as string;
    await vi.waitFor(async () => expect(await version()).toMatchObject({ state: 'ready', reason }), SOON);
    await kill();
    await vi.waitFor(async () => expect(await version()).toMatchObject({ state: 'failed', reason, restarts: 0, instances: [] }), SOON);
    const refused = await failureOf(await post(address, '/predict', '{"model":"digits","inputs":[]}'));
    expect(refused).toMatchObject({ status: 409, code: 'MODEL_FAILED', message: reason });
  });

  it('refuses a job that would publish, before it runs, unless it has a key to sign with', async () => {
    const pair = await keys();
    const spec = { dataset: 'wine', target: 'kind', architecture: { kind: 'linear' }, epochs: 1, seed: 1, publish: { model: 'wine' } };
    const answers: [status: number, body: unknown][] = [];
    for (const signWith of [undefined, pair.privateFile]) {
      const { address } = await runningServer([], {
        packages: { requireSignedBy: pair.publicFile, ...(signWith !== undefined && { signWith }) },
      });
      const form = new FormData();
      form.set('name', 'wine');
      form.set('file', new Blob([await readFile(WINE)]), 'wine.csv');
      expect((await fetch(`${address}/datasets`, { method: 'POST', body: form })).status).toBe(201);
      const submitted = await post(address, '/train-jobs', JSON.stringify(spec));
      const job = (await submitted.json()) as { id?: string };
      if (job.id !== undefined) await (await fetch(`${address}/train-jobs/${job.id}/events`)).text();
      answers.push([submitted.status, job.id === undefined ? job : await (await fetch(`${address}/models/wine/versions/1`)).json()]);
    }
    expect(answers).toEqual([
      [
        403,
        {
          error: expect.objectContaining({
            code: 'UNTRUSTED_PACKAGE',
            message: expect.stringContaining('packages.signWith') as string,
          }) as unknown,
        },
      ],
      [202, expect.objectContaining({ state: 'ready', signedBy: expect.any(String) as string })],
    ]);
  });

  it('makes variants of trusted versions alone, and signs them anew', async () => {
    const pair = await keys();
    const running = await runningServer([], { packages: { requireSignedBy: pair.publicFile, signWith: pair.privateFile } });
    for (const [name, folder] of [
      ['trusted', await signedDigits(pair)],
      ['strange', await signedDigits(await keys())],
    ] as const)
      await cp(folder, join(running.models, name, '1'), { recursive: true });
    const jobs = jobsClient(running.address, '/optimize-jobs');
    await vi.waitFor(async () => expect((await fetch(`${running.address}/models/strange/versions/1`)).status).toBe(200), SOON);
    const limits = { accuracyDrop: 1, slowdown: 1000 };
    const [, refused] = await Promise.all(
      ['trusted', 'strange'].map(async (model) => {
        const { id } = await jobs.submit({ model, techniques: ['int8'], limits, seed: 1 });
        return jobs.ended(id);
      }),
    );
    expect(refused).toMatchObject({ state: 'failed', error: { code: 'UNTRUSTED_PACKAGE' } });
    const made = await (await fetch(`${running.address}/models/trusted/versions/2`)).json();
    expect(made).toMatchObject({ state: 'ready', signedBy: expect.any(String) as string });
  });

  it('does not start with keys that it cannot use', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'models'));
    const { status, err } = await slipway([
      '--models',
      join(folder, 'models'),
      '--port',
      '0',
      '--packages-require-signed-by',
      join(folder, 'none'),
    ]);
    expect([status, err]).toEqual([2, expect.stringMatching(/^slipway: .*none: ENOENT/) as string]);
  });
});
