import { toSlipwayError } from '../errors/slipway-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { Inference, InferenceRequest, InferenceResponse, ResolvePatience } from '../inference/types.ts';
import type { ModelReference, ReadyVersion } from '../registry/types.ts';
import { isForCandidate } from './assignment.ts';
import { compareOutputs } from './compare-outputs.ts';
import type { ActiveRollout, Arm, Rollouts } from './rollouts.ts';

/** What a version cannot be blamed for. */
const NO_FAULT: ReadonlySet<ErrorCode> = new Set(['REQUEST_CANCELLED', 'SHUTTING_DOWN']);

/** Shadow requests of all models that are under way at once; further ones are left out. */
const SHADOWS_AT_ONCE = 16;
/** A shadow request waits no longer for its answer, in milliseconds. */
const SHADOW_MS = 10_000;
/** Behind everything that somebody waits for. */
const LOWEST_PRIORITY = Number.MAX_SAFE_INTEGER;

/** A request that a rollout has given to one of its versions. */
interface Assigned {
  readonly version: ReadyVersion;
  readonly active: ActiveRollout;
  readonly arm: Arm;
}

export interface RolloutInferenceOptions {
  readonly rollouts: Pick<Rollouts, 'of'>;
  /** Runs shadow requests, and finds versions: what it does is not counted among the requests of clients. */
  readonly uncounted: Inference;
  /** A number from 0 up to 1; `Math.random` by default. */
  readonly random?: () => number;
}

/**
 * Shares the requests of models with a rollout out between its two versions, and runs shadow requests. Protocols are given
 * the version that will answer, and decode for it, as without a rollout.
 */
export function withRollouts<T extends Inference>(inference: T, { rollouts, uncounted, random = Math.random }: RolloutInferenceOptions): T {
  /** A version by what stands for it in requests that a rollout shares out. */
  const assigned = new WeakMap<ReadyVersion, Assigned>();
  /** What stands for a version, for each of its arms; one for all requests, since protocols keep things by version. */
  const standIns: Readonly<Record<Arm, WeakMap<ReadyVersion, ReadyVersion>>> = { candidate: new WeakMap(), baseline: new WeakMap() };
  let shadows = 0;

  function standInOf(version: ReadyVersion, active: ActiveRollout, arm: Arm): ReadyVersion {
    let standIn = standIns[arm].get(version);
    if (standIn === undefined) standIns[arm].set(version, (standIn = { ...version }));
    if (assigned.get(standIn)?.active !== active) assigned.set(standIn, { version, active, arm });
    return standIn;
  }

  async function resolve(active: ActiveRollout, reference: ModelReference, patience: Partial<ResolvePatience>): Promise<ReadyVersion> {
    const { model, rollout } = active;
    if (isForCandidate(model, rollout, patience.client, random)) {
      try {
        return standInOf(await uncounted.resolve({ model, version: rollout.candidate }, patience), active, 'candidate');
      } catch (error) {
        if (NO_FAULT.has(toSlipwayError(error).code)) throw error;
        active.unavailable();
      }
    }
    try {
      return standInOf(await uncounted.resolve({ model, version: rollout.baseline }, patience), active, 'baseline');
    } catch {
      // As if there were no rollout; what is wrong then is said of what was asked for.
      return inference.resolve(reference, patience);
    }
  }

  async function shadow(active: ActiveRollout, baseline: ReadyVersion, request: Request, answer: InferenceResponse): Promise<void> {
    const { model, rollout } = active;
    shadows += 1;
    try {
      const deadline = performance.now() + SHADOW_MS;
      const candidate = await uncounted.resolve({ model, version: rollout.candidate }, { deadline });
      const { inputs, outputs } = request;
      const given = await uncounted.predict(candidate, {
        inputs,
        outputs,
        client: '',
        deadline,
        signal: undefined,
        priority: LOWEST_PRIORITY,
      });
      const { classification } = baseline.manifest;
      active.compared(compareOutputs(answer.outputs, given.outputs, { tolerance: rollout.tolerance, classification }), given.times.totalMs);
    } catch (error) {
      if (!NO_FAULT.has(toSlipwayError(error).code)) active.shadowFailed();
    } finally {
      shadows -= 1;
    }
  }

  type Request = Omit<InferenceRequest, 'reference'>;

  async function predict({ version, active, arm }: Assigned, request: Request): Promise<InferenceResponse> {
    let answer: InferenceResponse;
    try {
      answer = await inference.predict(version, request);
    } catch (error) {
      if (!NO_FAULT.has(toSlipwayError(error).code)) active.failed(arm);
      throw error;
    }
    active.answered(arm, answer.times.totalMs);
    if (arm === 'baseline' && random() < active.rollout.shadow) {
      if (shadows >= SHADOWS_AT_ONCE) active.shadowDropped();
      else void shadow(active, version, request, answer);
    }
    return answer;
  }

  return {
    ...inference,
    resolve(reference, patience = {}) {
      const active = rollouts.of(reference);
      return active === undefined ? inference.resolve(reference, patience) : resolve(active, reference, patience);
    },
    predict(version, request) {
      const own = assigned.get(version);
      return own === undefined ? inference.predict(version, request) : predict(own, request);
    },
  };
}
