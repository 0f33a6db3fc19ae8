import { describe, expect, it, vi } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { Inference } from '../../../src/inference/types.ts';
import { rolloutSchema } from '../../../src/packages/rollout.ts';
import type { ReadyVersion } from '../../../src/registry/types.ts';
import type { ActiveRollout } from '../../../src/rollouts/rollouts.ts';
import { withRollouts } from '../../../src/rollouts/with-rollouts.ts';
import type { NamedTensors } from '../../../src/tensor/tensor.ts';

const outputs: NamedTensors = new Map([['y', { dtype: 'FP32', shape: [1], data: Float32Array.of(1) }]]);

/** A fake data plane that answers, or fails, as it is told. */
function fakeInference(fail?: (version: number) => SlipwayError | undefined): Inference {
  return {
    resolve({ model, version = 0 }) {
      const ready = { model, version, manifest: {} } as ReadyVersion;
      return { ...ready, signatures: new Map([['other', { ...ready, signatureName: 'other' }]]) };
    },
    async predict({ model, version }) {
      const error = fail?.(version);
      if (error !== undefined) throw error;
      const times = { startedAt: 0, queueMs: 0, computeMs: 0, totalMs: 1 };
      return { model, version, outputs, times, run: { rows: 1, leads: true } };
    },
  };
}

const terms = { candidate: 2, baseline: 1, startedAt: '2026-11-24T12:00:00.000Z' };

function setUp(
  more: object,
  fail?: (version: number) => SlipwayError | undefined,
  maxShadowing = 1,
  unresolved?: ConstructorParameters<typeof SlipwayError>[0],
) {
  const active = {
    model: 'm',
    rollout: rolloutSchema.parse({ ...terms, sticky: false, ...more }),
    held: undefined as ActiveRollout['held'],
    answered: vi.fn<ActiveRollout['answered']>(),
    failed: vi.fn<ActiveRollout['failed']>(),
    unavailable: vi.fn<ActiveRollout['unavailable']>(),
    compared: vi.fn<ActiveRollout['compared']>(),
    shadowFailed: vi.fn<ActiveRollout['shadowFailed']>(),
    shadowDropped: vi.fn<ActiveRollout['shadowDropped']>(),
  };
  const inference = withRollouts(fakeInference(fail), {
    rollouts: { of: ({ version }) => (version === undefined ? active : undefined) },
    uncounted: {
      resolve(reference, requester) {
        if (unresolved !== undefined && reference.version === 2) throw error(unresolved);
        return fakeInference().resolve(reference, requester);
      },
    },
    shadowing: fakeInference(fail),
    maxShadowing,
    shadowTimeoutMs: 1_000,
    random: () => 0.5,
  });
  const request = { inputs: new Map(), outputs: undefined, client: '', deadline: undefined, signal: undefined };
  const ask = async (): Promise<number> =>
    (await inference.predict(await inference.resolve({ model: 'm' }, { client: '' }), request)).version;
  return { active, inference, ask, request };
}

const error = (code: ConstructorParameters<typeof SlipwayError>[0]) => new SlipwayError(code, 'as it was told');

describe('a request of a rollout', () => {
  it.each([
    ['QUEUE_FULL', 'shadowDropped', 'shadowFailed'],
    ['DEADLINE_UNREACHABLE', 'shadowDropped', 'shadowFailed'],
    ['DEADLINE_EXCEEDED', 'shadowDropped', 'shadowFailed'],
    ['SHUTTING_DOWN', 'shadowDropped', 'shadowFailed'],
    ['INFERENCE_FAILED', 'shadowFailed', 'shadowDropped'],
    ['RUNNER_CRASHED', 'shadowFailed', 'shadowDropped'],
  ] as const)('is answered whatever its shadow meets, and %s is %s', async (code, counted, other) => {
    const { active, ask } = setUp({ weight: 0, shadow: 1 }, (version) => (version === 2 ? error(code) : undefined));
    expect(await ask()).toBe(1);
    await vi.waitFor(() => expect(active[counted]).toHaveBeenCalledOnce());
    expect(active[other]).not.toHaveBeenCalled();
    expect(active.answered).toHaveBeenCalledExactlyOnceWith('baseline', 1);
  });

  it.each([
    ['MODEL_NOT_READY', 0],
    ['MODEL_UNLOADED', 0],
    ['MODEL_FAILED', 1],
    ['VERSION_NOT_FOUND', 1],
  ] as const)('is answered by the baseline where the candidate is not there: %s is counted %d times', async (code, times) => {
    const { active, ask } = setUp({ weight: 1 }, undefined, 1, code);
    expect(await ask()).toBe(1);
    expect(active.unavailable).toHaveBeenCalledTimes(times);
  });

  it('has no shadow while as many as may are under way', async () => {
    const { active, ask } = setUp({ weight: 0, shadow: 1 }, undefined, 0);
    await ask();
    expect(active.shadowDropped).toHaveBeenCalledOnce();
    expect(active.compared).not.toHaveBeenCalled();
  });

  it.each([
    ['INFERENCE_FAILED', 1],
    ['DEADLINE_EXCEEDED', 1],
    ['QUEUE_FULL', 0],
    ['INPUT_MISMATCH', 0],
    ['REQUEST_CANCELLED', 0],
  ] as const)('that gets %s counts %i times as a failure of its version', async (code, times) => {
    const { active, ask } = setUp({ weight: 1 }, () => error(code));
    await expect(ask()).rejects.toMatchObject({ code });
    expect(active.failed.mock.calls).toEqual(Array.from({ length: times }, () => ['candidate']));
  });

  it('goes by a decision that could not be written yet, without shadows', async () => {
    const { active, ask } = setUp({ weight: 1, shadow: 1 });
    active.held = { decision: 'rolled_back', reason: '' };
    expect(await ask()).toBe(1);
    active.held = { decision: 'promoted', reason: '' };
    active.rollout = rolloutSchema.parse({ ...terms, weight: 0 });
    expect(await ask()).toBe(2);
    expect(active.compared).not.toHaveBeenCalled();
  });

  it('has no part when it names a version, or only asks about the model', async () => {
    const { active, inference, request } = setUp({ weight: 1 });
    const named = await inference.resolve({ model: 'm', version: 2 }, { client: '' });
    expect((await inference.predict(named, request)).version).toBe(2);
    expect((await inference.resolve({ model: 'm' })).version).toBe(1);
    expect(active.answered).not.toHaveBeenCalled();
  });
});

it('counts and copies requests for another signature of a SavedModel as those of its version', async () => {
  const { active, inference, request } = setUp({ weight: 0, shadow: 1 });
  const named = (await inference.resolve({ model: 'm' }, { client: '' })).signatures?.get('other');
  expect((await inference.predict(named!, request)).version).toBe(1);
  expect(active.answered).toHaveBeenCalledExactlyOnceWith('baseline', 1);
  await vi.waitFor(() => expect(active.compared).toHaveBeenCalledOnce());
});
