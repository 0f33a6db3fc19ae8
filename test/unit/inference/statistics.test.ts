import { describe, expect, it } from 'vitest';
import { createInferenceStatistics, withStatistics } from '../../../src/inference/statistics.ts';
import type { Inference } from '../../../src/inference/types.ts';
import type { ReadyVersion } from '../../../src/registry/types.ts';
import { fp32 } from '../../helpers/tensors.ts';

const times = { startedAt: 0, queueMs: 1, computeMs: 2, totalMs: 4 };

describe('statistics of inference', () => {
  it('are counted for each version', () => {
    const statistics = createInferenceStatistics();
    statistics.succeeded('m', 1, 8, times, { rows: 8, leads: true });
    statistics.succeeded('m', 1, 2, { startedAt: 0, queueMs: 0, computeMs: 0.000001, totalMs: 0.000002 }, { rows: 2, leads: true });
    statistics.atEdge('m', 1, times, 8, 4);
    statistics.failed('m', 1, 0.5, 'QUEUE_FULL');
    statistics.succeeded('m', 2, 1, times, { rows: 1, leads: true });
    expect(statistics.of('m', 1)).toMatchObject({
      inferenceCount: 10,
      executionCount: 2,
      success: { count: 2, ns: 4_000_002 },
      fail: { count: 1, ns: 500_000 },
      queue: { count: 2, ns: 1_000_000 },
      compute: { count: 2, ns: 2_000_001 },
      transfer: { count: 2, ns: 1_000_001 },
    });
    expect(statistics.of('m', 1).batches.get(8)).toEqual({ compute: { count: 1, ns: 2_000_000 }, transfer: { count: 1, ns: 1_000_000 } });
    expect([...statistics.of('m', 1).errors]).toEqual([['QUEUE_FULL', 1]]);
    // All phases, so that none is longer.
    expect(statistics.of('m', 1).total).toMatchObject({ count: 1, sumMs: 16 });
    expect(statistics.of('m', 2).inferenceCount).toBe(1);
    expect(statistics.of('m', 1).lastInferenceAt).toBeGreaterThan(0);
    expect(statistics.of('other', 1)).toMatchObject({ inferenceCount: 0, lastInferenceAt: 0 });
  });

  it('tell only so many batch sizes apart, since clients choose them', () => {
    const statistics = createInferenceStatistics();
    for (let size = 0; size < 1_000; size += 1) statistics.succeeded('m', 1, size, times, { rows: size, leads: true });
    expect(statistics.of('m', 1).batches.size).toBe(256);
    expect(statistics.of('m', 1).success.count).toBe(1_000);
  });

  it('come from what goes through the data plane', async () => {
    const statistics = createInferenceStatistics();
    const version = {
      model: 'm',
      version: 1,
      signature: { inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 2] }], outputs: [] },
    } as unknown as ReadyVersion;
    const fakeInference: Inference = {
      resolve: async () => version,
      predict: async (_version, { inputs }) => {
        if (inputs.size === 0) throw new Error('no inputs');
        return { model: 'm', version: 1, outputs: new Map(), times, run: { rows: 3, leads: true } };
      },
    };
    const inference = withStatistics(fakeInference, statistics);
    const request = { outputs: undefined, client: '', deadline: undefined, signal: new AbortController().signal };
    await inference.predict(version, { ...request, inputs: new Map([['x', fp32([1, 2, 3, 4, 5, 6], [3, 2])]]) });
    await expect(inference.predict(version, { ...request, inputs: new Map() })).rejects.toThrow('no inputs');
    expect(statistics.of('m', 1)).toMatchObject({ inferenceCount: 3, success: { count: 1 }, fail: { count: 1 } });
  });
});
