import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

interface Scheduler {
  readonly settings: Record<string, unknown>;
  readonly versions: { readonly batching: { readonly state: string; readonly reason: string } }[];
}

async function schedulerOf(address: string, model: string, change?: unknown): Promise<Response> {
  return fetch(`${address}/models/${model}/scheduler`, {
    ...(change !== undefined && { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) }),
  });
}

describe('the scheduler of a model', () => {
  it('tells its settings and what it measured, and takes changes at once', async () => {
    const { address } = await runningServer(['times-three', 'fixed']);
    expect(await (await schedulerOf(address, 'times-three')).json()).toEqual({
      settings: { maxQueueDepth: 1_000, maxQueueMs: 10_000, maxBatchSize: 256, batchLatencyMs: 10, exactBatches: false },
      versions: [
        {
          version: 1,
          batching: { state: 'proving', reason: expect.any(String) },
          fit: { unit: 'rows', runs: 0, samples: [] },
          queue: { depth: 0, waitMs: 0, inFlight: 0 },
          dropped: { queueFull: 0, unreachable: 0, expired: 0, cancelled: 0 },
          decisions: [],
        },
      ],
    });
    for (let sent = 0; sent < 3; sent += 1) await post(address, '/predict', JSON.stringify({ model: 'times-three', inputs: [1, 2] }));
    const told = (await (await schedulerOf(address, 'times-three')).json()) as Scheduler;
    expect(told.versions[0]).toMatchObject({
      fit: { runs: 3, samples: [{ size: 2, runs: 3 }] },
      latency: { count: 3 },
      decisions: [{ requests: 1, rows: 2, left: 0, computeMs: expect.any(Number) }, { rows: 2 }, { rows: 2 }],
    });
    const changed = (await (await schedulerOf(address, 'times-three', { maxBatchSize: 1, exactBatches: true })).json()) as Scheduler;
    expect(changed).toMatchObject({
      settings: { maxQueueDepth: 1_000, maxBatchSize: 1, batchLatencyMs: 10, exactBatches: true },
      versions: [{ batching: { state: 'off', reason: 'Turned off by the settings.' } }],
    });
    const fixed = (await (await schedulerOf(address, 'fixed')).json()) as Scheduler;
    expect(fixed.settings['maxBatchSize']).toBe(256);
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
