import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

interface Scheduler {
  readonly settings: Record<string, number>;
  readonly versions: { readonly batching: { readonly state: string; readonly reason: string; readonly recent: { rows: number }[] } }[];
}

async function schedulerOf(address: string, model: string, change?: unknown): Promise<Response> {
  return fetch(`${address}/models/${model}/scheduler`, {
    ...(change !== undefined && { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) }),
  });
}

describe('the scheduler of a model', () => {
  it('tells its settings and what it measured, and takes changes at once', async () => {
    const { address } = await runningServer(['times-three', 'fixed']);
    expect(await (await schedulerOf(address, 'times-three')).json()).toMatchObject({
      settings: { maxQueueDepth: 1_000, maxBatchSize: 64, batchLatencyMs: 10 },
      versions: [{ version: 1, batching: { state: 'proving', recent: [] }, queue: { depth: 0, waitMs: 0 }, predictedP99Ms: 0 }],
    });
    const { settings } = (await (await schedulerOf(address, 'times-three')).json()) as Scheduler;
    expect(Object.keys(settings).toSorted()).toEqual(['batchLatencyMs', 'maxBatchSize', 'maxQueueDepth']);
    for (let sent = 0; sent < 3; sent += 1) await post(address, '/predict', JSON.stringify({ model: 'times-three', inputs: [1, 2] }));
    const told = (await (await schedulerOf(address, 'times-three')).json()) as Scheduler;
    expect(told.versions[0]).toMatchObject({
      batching: { fit: { samples: 3 }, recent: [{ requests: 1, rows: 2 }, { rows: 2 }, { rows: 2 }] },
      latency: { count: 3 },
    });
    const changed = (await (await schedulerOf(address, 'times-three', { maxBatchSize: 1 })).json()) as Scheduler;
    expect(changed).toMatchObject({
      settings: { maxQueueDepth: 1_000, maxBatchSize: 1, batchLatencyMs: 10 },
      versions: [{ batching: { state: 'off', reason: 'Turned off by its settings.' } }],
    });
    const fixed = (await (await schedulerOf(address, 'fixed')).json()) as Scheduler;
    expect(fixed.settings['maxBatchSize']).toBe(64);
    expect(fixed.versions[0]!.batching.reason).toContain('first dimension');
  });

  it('refuses what it does not know', async () => {
    const { address } = await runningServer(['times-three']);
    expect(await failureOf(await schedulerOf(address, 'nothing'))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
    expect(await failureOf(await schedulerOf(address, 'nothing', {}))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
    for (const [change, path] of [
      [{ maxBatchSize: 0 }, 'maxBatchSize'],
      [{ maxBatchsize: 2 }, 'maxBatchsize'],
    ] as const) {
      const failure = await failureOf(await schedulerOf(address, 'times-three', change));
      expect(failure).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
      expect(JSON.stringify(failure)).toContain(path);
    }
  });
});
