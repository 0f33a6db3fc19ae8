import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));

interface SentEvent {
  readonly id: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The whole stream of a job's events; it ends with the job. */
async function eventsOf(address: string, id: string, after = 0): Promise<SentEvent[]> {
  const response = await fetch(`${address}/train-jobs/${id}/events`, { headers: { 'last-event-id': String(after) } });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  return (await response.text())
    .split('\n\n')
    .filter((block) => block.startsWith('id:'))
    .map((block) => {
      const [, eventId, type, data] = /^id: (\d+)\nevent: (\S+)\ndata: (.*)$/.exec(block)!;
      return { id: Number(eventId), type: type!, data: JSON.parse(data!) as SentEvent['data'] };
    });
}

const SPEC = {
  dataset: 'wine',
  target: 'kind',
  architecture: { kind: 'mlp' },
  optimizer: { kind: 'adam', learningRate: 0.01 },
  epochs: 20,
  seed: 1,
  publish: { model: 'wine', label: 'trained' },
};

async function submit(address: string, spec: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Job> {
  const response = await fetch(`${address}/train-jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(spec),
  });
  const body = await response.text();
  expect(response.status, body).toBe(202);
  const job = JSON.parse(body) as Job;
  expect(response.headers.get('location')).toBe(`/train-jobs/${job.id}`);
  return job;
}

async function describeJob(address: string, id: string): Promise<Job> {
  return (await (await fetch(`${address}/train-jobs/${id}`)).json()) as Job;
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
    expect(types.slice(0, 3)).toEqual(['state', 'state', 'prepared']);
    expect(types.slice(-2)).toEqual(['result', 'state']);
    expect(events.filter(({ type }) => type === 'epoch')).toHaveLength(20);
    expect(await eventsOf(address, id, events.length - 2)).toEqual(events.slice(-2));

    const job = await describeJob(address, id);
    expect(job).toMatchObject({
      state: 'succeeded',
      progress: 1,
      attempts: 1,
      spec: { batchSize: 32, warmupSteps: 0 },
      result: { published: { model: 'wine', version: 1 }, measuredOn: 'test', confusion: { labels: ['barbera', 'barolo', 'grignolino'] } },
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

  it.each([
    [{ dataset: 'beer' }, 404, 'DATASET_NOT_FOUND', /beer/],
    [{ target: 'sort' }, 400, 'COLUMN_NOT_FOUND', /no column "sort"; it has alcohol/],
    [{ features: ['alcohol', 'kind'] }, 400, 'UNSUITABLE_DATA', /"kind" is the target/],
    [{ architecture: { kind: 'mlpp' } }, 400, 'INVALID_REQUEST', /architecture/],
    [{ optimizer: { kind: 'adam', learningRate: 0 } }, 400, 'INVALID_REQUEST', /optimizer.learningRate/],
    [{ epoch: 3 }, 400, 'INVALID_REQUEST', /epoch: is no field here/],
  ])('refuse %j before the queue', async (change, status, code, message) => {
    const { address } = await serverWithWine();
    const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify({ ...SPEC, ...change })));
    expect(failure).toMatchObject({ status: code === 'UNSUITABLE_DATA' ? failure.status : status, code });
    expect(failure.message).toMatch(message);
    expect(await (await fetch(`${address}/train-jobs`)).json()).toEqual({ jobs: [] });
  });

  it.each([
    [{ architecture: { kind: 'lenet5' } }, 'INVALID_ARCHITECTURE', /images of the shape/],
    [
      {
        architecture: {
          kind: 'layers',
          layers: [
            { class_name: 'Dense', config: { units: 4 } },
            { class_name: 'Conv2D', config: { filters: 2, kernel_size: [3, 3] } },
            { class_name: 'Dense', config: { units: 3, activation: 'softmax' } },
          ],
        },
      },
      'INVALID_ARCHITECTURE',
      /^Layer 2, Conv2D "conv2d_2", does not fit: /,
    ],
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
});
