import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { failureOf, post } from '../helpers/http.ts';
import { tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { jobsClient, type JobsClient, type SentEvent } from '../helpers/jobs.ts';
import { runningServer } from '../helpers/running-server.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));

const SPEC = {
  dataset: 'wine',
  target: 'kind',
  architecture: { kind: 'mlp' },
  optimizer: { kind: 'adam', learningRate: 0.01 },
  epochs: 20,
  seed: 1,
  publish: { model: 'wine', label: 'trained' },
};

const submit = (address: string, ...sent: Parameters<JobsClient['submit']>) => jobsClient(address, '/train-jobs').submit(...sent);
const eventsOf = (address: string, ...job: Parameters<JobsClient['eventsOf']>) => jobsClient(address, '/train-jobs').eventsOf(...job);
const eventFrom = (address: string, ...job: Parameters<JobsClient['eventFrom']>) => jobsClient(address, '/train-jobs').eventFrom(...job);
const describeJob = (address: string, id: string) => jobsClient(address, '/train-jobs').describe(id);

async function digestOf(address: string, id: string): Promise<string> {
  await eventsOf(address, id);
  const job = await describeJob(address, id);
  expect(job).toMatchObject({ state: 'succeeded' });
  return (job.result as { weightsDigest: string }).weightsDigest;
}

async function serverWithWine(settings: Parameters<typeof runningServer>[1] = {}): ReturnType<typeof runningServer> {
  const running = await runningServer([], settings);
  expect((await post(running.address, '/datasets?name=wine', wine, 'text/csv')).status).toBe(201);
  return running;
}

describe('training jobs', () => {
  it('train on a dataset, tell how it goes, and publish a version that answers with classes', async () => {
    const { address } = await serverWithWine();
    const { id } = await submit(address, SPEC);
    const events = await eventsOf(address, id);
    expect(events.map((event) => event.id)).toEqual(events.map((_event, index) => index + 1));
    const types = events.map(({ type }) => type);
    expect(types.slice(0, 4)).toEqual(['state', 'state', 'process', 'prepared']);
    expect(types.slice(-2)).toEqual(['result', 'state']);
    expect(events.filter(({ type }) => type === 'epoch')).toHaveLength(20);
    expect(await eventsOf(address, id, events.length - 2)).toEqual(events.slice(-2));

    const job = await describeJob(address, id);
    expect(job).toMatchObject({
      state: 'succeeded',
      progress: 1,
      attempts: 1,
      spec: { batchSize: 32, warmupSteps: 0 },
      result: {
        engine: 'onnx cpu',
        published: { model: 'wine', version: 1 },
        measuredOn: 'test',
        confusion: { labels: ['barbera', 'barolo', 'grignolino'] },
      },
    });
    expect(job.metrics['accuracy']).toBeGreaterThanOrEqual(0.85);

    const row = Object.fromEntries(
      wine
        .toString()
        .split('\n')
        .slice(0, 2)
        .map((line) => line.split(',').slice(0, 13))
        .reduce((names, values) => names.map((name, index) => `${name}=${values[index]}`))
        .map((pair) => pair.split('='))
        .map(([name, value]) => [name, Number(value)]),
    );
    const predicted = await (await post(address, '/predict', JSON.stringify({ model: 'wine', label: 'trained', inputs: [row] }))).json();
    expect(predicted).toMatchObject({ model: 'wine', version: 1, predictions: [{ label: 'barolo' }] });
    const version = await (await fetch(`${address}/models/wine/versions/1`)).json();
    expect(version).toMatchObject({
      manifest: { metrics: job.metrics, lineage: { job: id, dataset: { name: 'wine' }, spec: { seed: 1 } } },
    });
  });

  it('come to the same weights from the same seed, and to others from another', async () => {
    const { address } = await serverWithWine();
    const digests: unknown[] = [];
    for (const seed of [1, 1, 2]) {
      const { id } = await submit(address, { ...SPEC, publish: undefined, architecture: { kind: 'mlp', dropout: 0.2 }, epochs: 2, seed });
      await eventsOf(address, id);
      digests.push(((await describeJob(address, id)).result as { weightsDigest: string }).weightsDigest);
    }
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
    expect(digests[2]).not.toBe(digests[0]);
  });

  it('train every family for tables and sequences, and numbers in their own units', async () => {
    const { address } = await serverWithWine();
    const families = ['linear', 'rnn', 'lstm', 'gru'];
    const jobs = await Promise.all(
      families.map((kind) =>
        submit(address, { ...SPEC, architecture: { kind }, optimizer: { kind: 'adamax' }, epochs: 1, publish: { model: kind } }),
      ),
    );
    const numbers = await submit(address, {
      dataset: 'wine',
      target: 'proline',
      architecture: { kind: 'linear' },
      optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true },
      clipping: { norm: 1 },
      schedule: { kind: 'cosine' },
      split: { test: 0.2 },
      publish: { model: 'proline', if: { metric: 'r2', atLeast: 0.3 } },
    });
    for (const { id } of [...jobs, numbers]) {
      await eventsOf(address, id);
      const { state, reason } = await describeJob(address, id);
      expect({ state, reason }).toEqual({ state: 'succeeded', reason: '' });
    }
    const { models } = (await (await fetch(`${address}/models`)).json()) as { models: { name: string; versions: { state: string }[] }[] };
    expect(models.map(({ name, versions }) => `${name} ${versions[0]!.state}`)).toEqual(
      [...families, 'proline'].toSorted().map((name) => `${name} ready`),
    );
    const { metrics } = await describeJob(address, numbers.id);
    // Of values from 278 to 1680 with a deviation of 314.
    expect(metrics['rmse']).toBeGreaterThan(50);
    expect(metrics['rmse']).toBeLessThan(300);
    const [names, first] = wine
      .toString()
      .split('\n')
      .map((line) => line.split(','));
    const row = Object.fromEntries(names!.map((name, index) => [name, Number(first![index])]));
    const { proline: _target, kind: _kind, ...inputs } = row;
    const answer = await post(address, '/predict', JSON.stringify({ model: 'proline', inputs: [{ ...inputs, kind: 'barolo' }] }));
    const { outputs } = (await answer.json()) as { outputs: { proline: number[][] } };
    expect(Math.abs(outputs.proline[0]![0]! - row['proline']!)).toBeLessThan(500);
  });

  it('publish nothing that is not good enough, and say why', async () => {
    const { address } = await serverWithWine();
    const { id } = await submit(address, { ...SPEC, epochs: 1, publish: { model: 'wine', if: { metric: 'accuracy', atLeast: 1.1 } } });
    await eventsOf(address, id);
    const job = await describeJob(address, id);
    expect(job.state).toBe('succeeded');
    expect(job.reason).toMatch(/^Not published: accuracy on the test rows is .*, less than 1\.1\.$/);
    expect(await (await fetch(`${address}/models`)).json()).toEqual({ models: [] });
  });

  it.each([
    [{ dataset: 'beer' }, 404, 'DATASET_NOT_FOUND', /beer/],
    [{ target: 'sort' }, 400, 'COLUMN_NOT_FOUND', /no column "sort"; it has alcohol/],
    [{ features: ['alcohol', 'kind'] }, 400, 'UNSUITABLE_DATA', /"kind" is the target/],
    [{ architecture: { kind: 'mlpp' } }, 400, 'INVALID_REQUEST', /architecture/],
    [{ optimizer: { kind: 'adam', learningRate: 0 } }, 400, 'INVALID_REQUEST', /optimizer.learningRate/],
    [{ publish: { model: 'wine', if: { metric: 'acuracy', atLeast: 0.9 } } }, 400, 'INVALID_REQUEST', /publish\.if\.metric: .*accuracy/],
    [{ epoch: 3 }, 400, 'INVALID_REQUEST', /epoch: is no field here/],
  ])('refuse %j before the queue', async (change, status, code, message) => {
    const { address } = await serverWithWine();
    const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify({ ...SPEC, ...change })));
    expect(failure).toMatchObject({ status: code === 'UNSUITABLE_DATA' ? failure.status : status, code });
    expect(failure.message).toMatch(message);
    expect(await (await fetch(`${address}/train-jobs`)).json()).toEqual({ jobs: [] });
  });

  it.each([
    [
      { target: 'alcohol', architecture: { kind: 'linear' }, optimizer: { kind: 'sgd', learningRate: 100 }, epochs: 100 },
      'TRAINING_DIVERGED',
      /became .* at step \d+ .*smaller learning rate/,
    ],
  ])('end as failed with the reason: %j', async (change, code, reason) => {
    const { address } = await serverWithWine();
    const { id } = await submit(address, { ...SPEC, ...change });
    await eventsOf(address, id);
    const job = await describeJob(address, id);
    expect(job).toMatchObject({ state: 'failed', error: { code } });
    expect(job.reason).toMatch(reason);
    expect(await (await fetch(`${address}/models`)).json()).toEqual({ models: [] });
  });

  /** Long enough to be interrupted, with random layers, momentum and early stopping, whose state must survive. */
  const LONG = {
    ...SPEC,
    publish: undefined,
    architecture: { kind: 'mlp', dropout: 0.3 },
    epochs: 40,
    batchSize: 64,
    earlyStopping: { patience: 40 },
  };
  const afterEpoch = (epoch: number) => (event: SentEvent) => event.type === 'epoch' && event.data['epoch'] === epoch;

  it('are cancelled, go on from their checkpoint when resumed, and come to the same weights', async () => {
    const { address } = await serverWithWine({ jobs: { checkpointMs: 0 } });
    const expected = await digestOf(address, (await submit(address, LONG)).id);
    const { id } = await submit(address, LONG);
    await eventFrom(address, id, afterEpoch(5));
    const cancelled = (await (await post(address, `/train-jobs/${id}/cancel`)).json()) as Job;
    expect(cancelled.state).toBe('cancelling');
    const events = await eventsOf(address, id);
    expect(events.at(-1)).toMatchObject({ type: 'state', data: { state: 'cancelled' } });
    expect(events.filter(afterEpoch(40))).toEqual([]);
    // Again changes nothing.
    expect(((await (await post(address, `/train-jobs/${id}/cancel`)).json()) as Job).state).toBe('cancelled');

    expect((await post(address, `/train-jobs/${id}/resume`)).status).toBe(202);
    expect(await digestOf(address, id)).toBe(expected);
    const all = await eventsOf(address, id);
    expect(all.filter(afterEpoch(2))).toHaveLength(1);
    expect((await describeJob(address, id)).attempts).toBe(2);
    expect(await failureOf(await post(address, `/train-jobs/${id}/resume`))).toMatchObject({ code: 'JOB_NOT_RESUMABLE' });
  });

  it.each([
    ['onnx', 1, 'onnx cpu'],
    ['onnx', 2, 'onnx cpu'],
    ['tfjs', 1, tensorflowFolder === undefined ? 'tfjs wasm' : 'tfjs tensorflow'],
  ])(
    'go on by themselves when their process is killed, to the same weights, with the engine %s, threads: %i',
    async (engine, threads, trainer) => {
      const layers = [
        { class_name: 'Dense', config: { units: 16, kernel_regularizer: { class_name: 'L1L2', config: { l1: 0, l2: 0.001 } } } },
        // With it a step is computed as one graph.
        ...(threads === 1 ? [{ class_name: 'BatchNormalization' }] : []),
        { class_name: 'Dropout', config: { rate: 0.3 } },
        { class_name: 'Dense', config: { units: 3, activation: 'softmax' } },
      ];
      const spec = { ...LONG, engine, architecture: { kind: 'layers', layers } };
      const { address } = await serverWithWine({ jobs: { checkpointMs: 0, threads } });
      const expected = await digestOf(address, (await submit(address, spec)).id);
      const { id } = await submit(address, spec);
      for (const [attempt, epoch] of [
        [1, 3],
        [2, 20],
      ] as const) {
        await eventFrom(address, id, afterEpoch(epoch));
        let starts = 0;
        const { data } = await eventFrom(address, id, ({ type }) => type === 'process' && (starts += 1) === attempt);
        process.kill(data['pid'] as number, 'SIGKILL');
      }
      expect(await digestOf(address, id)).toBe(expected);
      expect(await describeJob(address, id)).toMatchObject({ attempts: 3, result: { engine: trainer } });
    },
  );

  it('go on after the server was stopped, to the same weights', async () => {
    const { address, state, server } = await serverWithWine({ jobs: { checkpointMs: 0 } });
    const expected = await digestOf(address, (await submit(address, LONG)).id);
    const { id } = await submit(address, LONG);
    await eventFrom(address, id, afterEpoch(3));
    await server.stop();
    const again = await runningServer([], { state, jobs: { checkpointMs: 0 } });
    expect(await digestOf(again.address, id)).toBe(expected);
    expect((await describeJob(again.address, id)).attempts).toBe(2);
  });

  it('are taken by priority, up to a bound, and once for each idempotency key', async () => {
    const { address } = await serverWithWine({ jobs: { maxQueued: 2 } });
    const running = await submit(address, { ...LONG, epochs: 10_000 });
    await eventFrom(address, running.id, ({ type }) => type === 'epoch');
    const short = { ...SPEC, publish: undefined, epochs: 1 };
    const low = await submit(address, short, { 'idempotency-key': 'one' });
    expect((await submit(address, short, { 'idempotency-key': 'one' })).id).toBe(low.id);
    const other = await post(address, '/train-jobs', JSON.stringify({ ...short, seed: 9 }));
    expect(other.status).toBe(202);
    const high = (await other.json()) as Job;
    const full = await failureOf(await post(address, '/train-jobs', JSON.stringify(short)));
    expect(full).toMatchObject({ code: 'JOB_QUEUE_FULL' });
    const conflict = await fetch(`${address}/train-jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'one' },
      body: JSON.stringify({ ...short, seed: 3 }),
    });
    expect(await failureOf(conflict)).toMatchObject({ status: 409, code: 'IDEMPOTENCY_CONFLICT' });
    expect((await describeJob(address, low.id)).state).toBe('queued');
    await post(address, `/train-jobs/${high.id}/cancel`);
    const first = await submit(address, { ...short, priority: 5 });
    await post(address, `/train-jobs/${running.id}/cancel`);
    await Promise.all([eventsOf(address, low.id), eventsOf(address, first.id)]);
    const [one, two] = await Promise.all([describeJob(address, first.id), describeJob(address, low.id)]);
    expect(one.endedAt! <= two.startedAt!).toBe(true);
  });

  it('leave their lineage in the package; a version without one says so', async () => {
    const { address } = await serverWithWine();
    const { id } = await submit(address, { ...SPEC, epochs: 1 });
    await eventsOf(address, id);
    const dataset = (await (await fetch(`${address}/datasets/wine`)).json()) as { digest: string };
    const lineage = (await (await fetch(`${address}/models/wine/versions/1/lineage`)).json()) as object;
    const { metrics } = await describeJob(address, id);
    expect(lineage).toMatchObject({
      model: 'wine',
      version: 1,
      metrics,
      lineage: { job: id, slipway: '0.0.0', dataset: { digest: dataset.digest }, spec: { seed: 1, epochs: 1 }, engine: 'onnx cpu' },
    });
    const archive = Buffer.from(await (await fetch(`${address}/models/wine/versions/1/package`)).arrayBuffer());
    expect((await post(address, '/models/copy/versions', archive, 'application/gzip')).status).toBe(201);
    expect(await (await fetch(`${address}/models/copy/versions/1/lineage`)).json()).toEqual({ ...lineage, model: 'copy' });

    const plain = await runningServer(['times-three']);
    expect(await failureOf(await fetch(`${plain.address}/models/times-three/versions/1/lineage`))).toMatchObject({
      status: 404,
      code: 'LINEAGE_NOT_FOUND',
    });
    expect(await failureOf(await fetch(`${plain.address}/models/times-three/versions/7/lineage`))).toMatchObject({
      status: 404,
      code: 'VERSION_NOT_FOUND',
    });
  });

  it.each([
    ['time', { maxDurationMs: 1 }, 'JOB_TIMEOUT', /longer than 1 ms, the setting jobs\.maxDurationMs/],
    ['memory', { maxMemoryBytes: 64 * 1024 * 1024 }, 'JOB_OUT_OF_MEMORY', /memory.*Try a smaller batch or model/],
  ])('fail with a reason when they take more %s than they may', async (_what, jobs, code, reason) => {
    const { address } = await serverWithWine({ jobs });
    const { id } = await submit(address, { ...SPEC, epochs: 100_000 });
    await eventsOf(address, id);
    const job = await describeJob(address, id);
    expect(job).toMatchObject({ state: 'failed', error: { code } });
    expect(job.reason).toMatch(reason);
    expect(await (await fetch(`${address}/models`)).json()).toEqual({ models: [] });
  });

  it('are deleted once they have ended, with their checkpoints; what they published stays', async () => {
    const { address, state } = await serverWithWine({ jobs: { checkpointMs: 0 } });
    const remove = async (id: string): Promise<Response> => fetch(`${address}/train-jobs/${id}`, { method: 'DELETE' });
    const done = await submit(address, { ...SPEC, epochs: 1 }, { 'idempotency-key': 'one' });
    await eventsOf(address, done.id);
    const long = await submit(address, { ...SPEC, publish: undefined, epochs: 100_000 });
    await eventFrom(address, long.id, ({ type }) => type === 'epoch');
    expect(await failureOf(await remove(long.id))).toMatchObject({ status: 409, code: 'JOB_NOT_ENDED' });
    await post(address, `/train-jobs/${long.id}/cancel`);
    await eventsOf(address, long.id);
    expect(await readdir(join(state, 'jobs', long.id))).toContain('checkpoint.bin');
    for (const { id } of [done, long]) {
      expect((await remove(id)).status).toBe(204);
      expect(await failureOf(await remove(id))).toMatchObject({ status: 404, code: 'JOB_NOT_FOUND' });
      expect((await fetch(`${address}/train-jobs/${id}/events`)).status).toBe(404);
    }
    expect(await readdir(join(state, 'jobs'))).not.toContain(long.id);
    expect(await (await fetch(`${address}/train-jobs`)).json()).toEqual({ jobs: [] });
    expect((await fetch(`${address}/models/wine/versions/1`)).status).toBe(200);
    expect((await submit(address, { ...SPEC, epochs: 1 }, { 'idempotency-key': 'one' })).id).not.toBe(done.id);
  });

  it('that ended first go when there are more of them than are kept', async () => {
    const { address, state, server } = await serverWithWine({ jobs: { maxEnded: 2 } });
    const ids: string[] = [];
    for (const seed of [1, 2]) {
      const { id } = await submit(address, { ...SPEC, publish: undefined, epochs: 1, seed });
      await eventsOf(address, id);
      ids.unshift(id);
    }
    await server.stop();
    // Left by a server that ended while it deleted a job.
    await mkdir(join(state, 'jobs', 'gone'));
    const again = await runningServer([], { state, jobs: { maxEnded: 1 } });
    const { jobs } = (await (await fetch(`${again.address}/train-jobs`)).json()) as { jobs: Job[] };
    expect(jobs.map(({ id }) => id)).toEqual(ids.slice(0, 1));
    expect(await readdir(join(state, 'jobs'))).not.toContain('gone');
    const third = await submit(again.address, { ...SPEC, publish: undefined, epochs: 1 });
    await eventsOf(again.address, third.id);
    // It ended as the second one and is asked for only after the first has gone.
    await again.server.stop();
    const last = await runningServer([], { state, jobs: { maxEnded: 5 } });
    const left = (await (await fetch(`${last.address}/train-jobs`)).json()) as { jobs: Job[] };
    expect(left.jobs.map(({ id }) => id)).toEqual([third.id]);
  });
});
