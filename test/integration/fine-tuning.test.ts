import { createHash } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { idxOf, realDigits, SIDE } from '../helpers/digits.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer, type RunningServer } from '../helpers/running-server.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url), 'utf8');
const [HEADER, ...ROWS] = wine.trimEnd().split('\n');
/** So small that a step changes nothing that can be seen. */
const STANDING = { kind: 'sgd', learningRate: 1e-12 };

const SPEC = {
  dataset: 'wine',
  target: 'kind',
  architecture: { kind: 'mlp', hidden: [16, 8] },
  optimizer: { kind: 'adam', learningRate: 0.01 },
  epochs: 10,
  seed: 1,
  publish: { model: 'wine' },
};

async function serverWith(datasets: Readonly<Record<string, string>>, models: readonly string[] = []): Promise<RunningServer> {
  const running = await runningServer(models, { jobs: { checkpointMs: 0 } });
  for (const [name, text] of Object.entries(datasets))
    expect((await post(running.address, `/datasets?name=${name}`, text, 'text/csv')).status).toBe(201);
  return running;
}

async function jobOf(address: string, id: string): Promise<Job> {
  return (await (await fetch(`${address}/train-jobs/${id}`)).json()) as Job;
}

async function submit(address: string, spec: unknown): Promise<string> {
  const response = await post(address, '/train-jobs', JSON.stringify(spec));
  const text = await response.text();
  expect(response.status, text).toBe(202);
  return (JSON.parse(text) as Job).id;
}

async function ended(address: string, id: string): Promise<Job> {
  await (await fetch(`${address}/train-jobs/${id}/events`)).text();
  return jobOf(address, id);
}

async function train(address: string, spec: unknown): Promise<Job> {
  const job = await ended(address, await submit(address, spec));
  expect(job, job.reason).toMatchObject({ state: 'succeeded' });
  return job;
}

interface Version {
  readonly weights: ReadonlyMap<string, Buffer>;
  readonly layers: readonly { readonly class_name: string; readonly config: Readonly<Record<string, unknown>> }[];
  readonly manifest: {
    readonly preprocessing: unknown;
    readonly classification?: { readonly labels: readonly string[] };
    readonly metrics: Readonly<Record<string, number>>;
  };
}

/** A version as it lies on disk. */
async function versionOf({ models }: RunningServer, model: string, version: number): Promise<Version> {
  const folder = join(models, model, String(version));
  const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as {
    modelTopology: { config: { layers: Version['layers'] } };
    weightsManifest: [{ weights: { name: string; shape: number[] }[] }];
  };
  const bytes = await readFile(join(folder, 'weights.bin'));
  let at = 0;
  const weights = json.weightsManifest[0].weights.map(({ name, shape }): [string, Buffer] => {
    const length = 4 * shape.reduce((product, size) => product * size, 1);
    return [name, bytes.subarray(at, (at += length))];
  });
  return {
    weights: new Map(weights),
    layers: json.modelTopology.config.layers,
    manifest: JSON.parse(await readFile(join(folder, 'slipway.json'), 'utf8')) as Version['manifest'],
  };
}

const changed = (one: Version, other: Version): string[] =>
  [...one.weights].filter(([name, bytes]) => !other.weights.get(name)!.equals(bytes)).map(([name]) => name);

describe('fine-tuning', () => {
  it.each(['onnx', 'tfjs'])(
    'begins with the weights of a version and leaves frozen layers as they are, with the engine %s',
    async (engine) => {
      const server = await serverWith({ wine, half: [HEADER, ...ROWS.filter((_row, index) => index % 2 === 0)].join('\n') });
      const { address } = server;
      await train(address, { ...SPEC, engine });
      const { reason, result } = await train(address, {
        ...SPEC,
        engine,
        dataset: 'half',
        architecture: { kind: 'version', model: 'wine', frozen: 'all-but-last' },
        epochs: 2,
      });
      expect(reason).toBe('');
      const [parent, child] = [await versionOf(server, 'wine', 1), await versionOf(server, 'wine', 2)];
      expect(changed(parent, child)).toEqual(['probabilities/kernel', 'probabilities/bias']);
      expect((result as { parameters: number }).parameters).toBe(8 * 3 + 3);
      // It reads its input as the parent does, not by the measures of the new data.
      expect(child.manifest.preprocessing).toEqual(parent.manifest.preprocessing);
      const { lineage } = (await (await fetch(`${address}/models/wine/versions/2/lineage`)).json()) as { lineage: object };
      const digest = createHash('sha256')
        .update(Buffer.concat([...parent.weights.values()]))
        .digest('hex');
      expect(lineage).toMatchObject({
        parent: { model: 'wine', version: 1, weights: digest },
        spec: { architecture: { kind: 'version', model: 'wine', version: 1, frozen: 'all-but-last' } },
      });

      await train(address, {
        ...SPEC,
        engine,
        architecture: { kind: 'version', model: 'wine', version: 1, frozen: ['dense_2'] },
        epochs: 1,
      });
      expect(changed(parent, await versionOf(server, 'wine', 3)).map((name) => name.split('/')[0])).toEqual([
        'dense_1',
        'dense_1',
        'probabilities',
        'probabilities',
      ]);
    },
  );

  it.each(['onnx', 'tfjs'])('of numbers begins with what the version predicts, in its units, with the engine %s', async (engine) => {
    // A quarter of the rows, of another mean and deviation.
    const rich = [HEADER, ...ROWS.filter((row) => row.includes('barolo'))].join('\n');
    const server = await serverWith({ wine, rich });
    const spec = { ...SPEC, engine, target: 'proline', features: ['alcohol', 'ash', 'kind'], publish: { model: 'proline' } };
    await train(server.address, spec);
    const { features: _features, ...others } = spec;
    await train(server.address, {
      ...others,
      dataset: 'rich',
      architecture: { kind: 'version', model: 'proline' },
      optimizer: STANDING,
      epochs: 1,
    });
    const [parent, child] = [await versionOf(server, 'proline', 1), await versionOf(server, 'proline', 2)];
    expect(child.layers).toEqual(parent.layers);
    expect(child.layers.at(-1)!.class_name).toBe('Rescaling');
    expect(child.layers.filter(({ class_name: kind }) => kind === 'Rescaling')).toHaveLength(1);
    // The same weights, but for the last digits, in the same units: the same predictions.
    for (const [name, bytes] of parent.weights) {
      const [before, now] = [bytes, child.weights.get(name)!].map((each) => new Float32Array(Uint8Array.from(each).buffer));
      for (const [index, value] of before!.entries()) expect(now![index]).toBeCloseTo(value, 5);
    }
    expect(child.manifest.metrics['rmse']).toBeGreaterThan(1);
  });

  it('gets a new last layer when the classes are others, and keeps the order of the same classes', async () => {
    const names: Readonly<Record<string, string>> = { barolo: 'yes', barbera: 'no', grignolino: 'no' };
    const other = [HEADER, ...ROWS.map((row) => row.replace(/barolo|barbera|grignolino/, (kind) => names[kind]!))].join('\n');
    const server = await serverWith({ wine, other });
    await train(server.address, SPEC);
    await train(server.address, {
      ...SPEC,
      dataset: 'other',
      architecture: { kind: 'version', model: 'wine', frozen: ['dense_1', 'dense_2'] },
      publish: { model: 'barolo' },
    });
    const [parent, child] = [await versionOf(server, 'wine', 1), await versionOf(server, 'barolo', 1)];
    expect(child.manifest.classification!.labels).toEqual(['no', 'yes']);
    expect(child.layers.at(-1)).toMatchObject({ class_name: 'Dense', config: { name: 'probabilities', units: 2, activation: 'softmax' } });
    expect(changed(parent, child)).toEqual(['probabilities/kernel', 'probabilities/bias']);
    expect(child.manifest.metrics['accuracy']).toBeGreaterThan(0.7);

    // Someone has put the classes of the first version into an order of their own; the head still means the same.
    const folder = join(server.models, 'turned', '1');
    await cp(join(server.models, 'wine', '1'), folder, { recursive: true });
    const manifest = {
      ...parent.manifest,
      classification: { ...parent.manifest.classification, labels: parent.manifest.classification!.labels.toReversed() },
    };
    await writeFile(join(folder, 'slipway.json'), JSON.stringify(manifest));
    await expect.poll(async () => (await fetch(`${server.address}/models/turned`)).status, { timeout: 10_000 }).toBe(200);
    await train(server.address, {
      ...SPEC,
      architecture: { kind: 'version', model: 'turned' },
      optimizer: STANDING,
      epochs: 1,
      publish: { model: 'turned' },
    });
    const turned = await versionOf(server, 'turned', 2);
    expect(turned.manifest.classification!.labels).toEqual(parent.manifest.classification!.labels.toReversed());
    // What is called right with the names in one order is wrong with them in the other, but for the class in the middle.
    expect(turned.manifest.metrics['accuracy']).toBeLessThan(0.6);
  });

  it('goes on after an interruption to the same weights, even when the version is gone', async () => {
    const server = await serverWith({ wine });
    const { address } = server;
    await train(address, SPEC);
    const spec = { ...SPEC, architecture: { kind: 'version', model: 'wine', frozen: ['dense_1'] }, epochs: 40, publish: undefined };
    const whole = await train(address, spec);
    const id = await submit(address, spec);
    const stream = await fetch(`${address}/train-jobs/${id}/events`);
    let text = '';
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('event: epoch')) break;
    }
    await post(address, `/train-jobs/${id}/cancel`);
    expect((await ended(address, id)).state).toBe('cancelled');
    expect((await fetch(`${address}/models/wine/versions/1`, { method: 'DELETE' })).status).toBe(204);
    await post(address, `/train-jobs/${id}/resume`);
    const resumed = await ended(address, id);
    expect(resumed).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect((resumed.result as { weightsDigest: string }).weightsDigest).toBe((whole.result as { weightsDigest: string }).weightsDigest);
  });

  it('of texts keeps the vocabulary and the length of the version', async () => {
    const [header, ...rows] = (await readFile(new URL('../../examples/data/languages.csv', import.meta.url), 'utf8')).trimEnd().split('\n');
    const part = (from: number): string => [header, ...rows.filter((_row, index) => index % 2 === from)].join('\n');
    const server = await serverWith({ one: part(0), other: part(1) });
    const spec = {
      dataset: 'one',
      target: 'language',
      architecture: { kind: 'linear', embedding: 8 },
      text: { vocabularySize: 500, maxLength: 20 },
      optimizer: { kind: 'adam', learningRate: 0.05 },
      epochs: 20,
      seed: 1,
      publish: { model: 'languages' },
    };
    const first = await train(server.address, spec);
    const { text: _text, ...others } = spec;
    const second = await train(server.address, {
      ...others,
      dataset: 'other',
      architecture: { kind: 'version', model: 'languages', frozen: 'all-but-last' },
      optimizer: STANDING,
      epochs: 1,
    });
    const [parent, child] = [await versionOf(server, 'languages', 1), await versionOf(server, 'languages', 2)];
    expect(child.manifest.preprocessing).toEqual(parent.manifest.preprocessing);
    expect(child.layers).toEqual(parent.layers);
    // Other texts, cut into other words, would have given it nothing to know.
    expect(second.metrics['accuracy']).toBeGreaterThan(first.metrics['accuracy']! - 0.15);
    expect(first.metrics['accuracy']).toBeGreaterThan(0.6);
  });

  it('takes a model that was made elsewhere, with images in the size that it reads', async () => {
    const server = await runningServer(['digits-layers']);
    const { images, labels } = realDigits(20);
    const form = new FormData();
    form.set('name', 'digits');
    form.append('file', new Blob([idxOf([labels.length, SIDE, SIDE], images)]), 'images-idx3-ubyte');
    form.append('file', new Blob([idxOf([labels.length], labels)]), 'labels-idx1-ubyte');
    expect((await fetch(`${server.address}/datasets`, { method: 'POST', body: form })).status).toBe(201);
    const job = await train(server.address, {
      dataset: 'digits',
      architecture: { kind: 'version', model: 'digits-layers', frozen: 'all-but-last' },
      optimizer: STANDING,
      epochs: 1,
      publish: { model: 'digits-layers' },
    });
    // What it has learnt elsewhere is still there.
    expect(job.metrics['accuracy']).toBeGreaterThan(0.9);
  });

  it('is refused before the queue, with the reason, when it cannot be', async () => {
    const server = await serverWith({ wine, small: 'a,kind\n1,x\n2,y\n3,x\n4,y\n' }, [
      'times-three',
      'times-three-graph',
      'multi-layers',
      'transformer-layers',
    ]);
    const { address } = server;
    await train(address, { ...SPEC, epochs: 1 });
    const version = (model: string, more: object = {}): object => ({ architecture: { kind: 'version', model, ...more } });
    for (const [change, code, message] of [
      [version('none'), 'MODEL_NOT_FOUND', /"none"/],
      [version('wine', { version: 7 }), 'VERSION_NOT_FOUND', /7/],
      [
        version('times-three'),
        'INVALID_ARCHITECTURE',
        /^Version 1 of "times-three" cannot be trained further: it is in the format onnx, and only layers models are/,
      ],
      [version('times-three-graph'), 'INVALID_ARCHITECTURE', /in the format tfjs-graph/],
      [version('multi-layers'), 'INVALID_ARCHITECTURE', /only a Sequential model is/],
      [
        version('wine', { frozen: ['dense_9'] }),
        'INVALID_ARCHITECTURE',
        /has no layer "dense_9"; those with weights are dense_1, dense_2, probabilities\./,
      ],
      [version('wine', { frozen: ['dense_1', 'dense_2', 'probabilities'] }), 'INVALID_ARCHITECTURE', /nothing is left to train/],
      [{ ...version('wine'), dataset: 'small' }, 'UNSUITABLE_DATA', /has no column "alcohol", which version 1 of "wine" reads/],
      [{ ...version('wine'), features: ['ash'] }, 'INVALID_REQUEST', /says itself how it reads its input; leave out "features"/],
      [version('wine', { frozen: 'most' }), 'INVALID_REQUEST', /all-but-last/],
    ] as const) {
      const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify({ ...SPEC, ...change })));
      expect(failure).toMatchObject({ code });
      expect(failure.message).toMatch(message);
    }
    expect(((await (await fetch(`${address}/train-jobs`)).json()) as { jobs: unknown[] }).jobs).toHaveLength(1);
  });
});
