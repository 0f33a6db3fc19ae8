import { toSlipwayError } from '../errors/slipway-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { Inference, InferenceRequest, InferenceResponse, Requester } from '../inference/types.ts';
import type { VersionManifest } from '../packages/manifest.ts';
import type { ModelReference, Patience, ReadyVersion } from '../registry/types.ts';
import { isForCandidate } from './assignment.ts';
import { compareOutputs } from './compare-outputs.ts';
import type { ActiveRollout, Arm, Rollouts } from './rollouts.ts';

/** What no version can be blamed for. */
const NOBODYS_FAULT: ReadonlySet<ErrorCode> = new Set(['REQUEST_CANCELLED', 'SHUTTING_DOWN']);

/** A candidate that is on its way, or that was put out of memory by request, is none that fails. */
const ON_ITS_WAY: ReadonlySet<ErrorCode> = new Set(['MODEL_NOT_READY', 'MODEL_UNLOADED']);

/** Why a shadow request has no answer, where that says nothing of what the answer would have been. */
const NOT_RUN: ReadonlySet<ErrorCode> = new Set(['DEADLINE_EXCEEDED', 'MODEL_NOT_READY', 'MODEL_UNLOADED']);

/**
 * What says nothing of the version that it is for: how much traffic there is, and what is wrong with the request itself. A client
 * that sends rubbish would else condemn the version that it is kept at.
 */
function isBlameless(error: unknown): boolean {
  const { kind, code } = toSlipwayError(error);
  return kind === 'overloaded' || kind === 'invalid_argument' || NOBODYS_FAULT.has(code);
}

/** Behind everything that somebody waits for. */
const LOWEST_PRIORITY = Number.MAX_SAFE_INTEGER;

/**
 * Tells whether two versions make the same tensors of the same images, rows and texts. It is looked at once for two versions:
 * their vocabularies may be long, and a shadow request asks each time.
 */
function createReadAlike(): (one: ReadyVersion, other: ReadyVersion) => boolean {
  const known = new WeakMap<VersionManifest, { readonly other: VersionManifest; readonly isAlike: boolean }>();
  return ({ manifest: one }, { manifest: other }) => {
    const found = known.get(one);
    if (found?.other === other) return found.isAlike;
    const isAlike = JSON.stringify(one.preprocessing) === JSON.stringify(other.preprocessing);
    known.set(one, { other, isAlike });
    return isAlike;
  };
}

/** A request that a rollout has given to one of its versions. */
interface Assigned {
  readonly version: ReadyVersion;
  readonly active: ActiveRollout;
  readonly arm: Arm;
}

export interface RolloutInferenceOptions {
  readonly rollouts: Pick<Rollouts, 'of'>;
  /** Finds versions: what it does is not counted among the requests of clients. */
  readonly uncounted: Pick<Inference, 'resolve'>;
  /** Runs shadow requests: neither counted nor kept in the response cache. */
  readonly shadowing: Inference;
  /** Shadow requests of all models that are under way at once; further ones are left out. */
  readonly maxShadowing: number;
  /** A shadow request waits no longer for its answer, in milliseconds. */
  readonly shadowTimeoutMs: number;
  /** A number from 0 up to 1; `Math.random` by default. */
  readonly random?: () => number;
}

/**
 * Shares the requests of models with a rollout out between its two versions, and runs shadow requests. Protocols are given
 * the version that will answer, and decode for it, as without a rollout.
 */
export function withRollouts<T extends Inference>(
  inference: T,
  { rollouts, uncounted, shadowing, maxShadowing, shadowTimeoutMs, random = Math.random }: RolloutInferenceOptions,
): T {
  /** A version by what stands for it in requests that a rollout shares out. */
  const assigned = new WeakMap<ReadyVersion, Assigned>();
  /** What stands for a version, for each of its arms; one for all requests, since protocols keep things by version. */
  const standIns: Readonly<Record<Arm, WeakMap<ReadyVersion, ReadyVersion>>> = { candidate: new WeakMap(), baseline: new WeakMap() };
  const isReadAlike = createReadAlike();
  let shadows = 0;

  function standInOf(version: ReadyVersion, active: ActiveRollout, arm: Arm): ReadyVersion {
    let standIn = standIns[arm].get(version);
    if (standIn === undefined) {
      // Of the other signatures of a SavedModel, too: they are run by the same version.
      const signatures = version.signatures && new Map([...version.signatures].map(([name, each]) => [name, standInOf(each, active, arm)]));
      standIns[arm].set(version, (standIn = { ...version, signatures }));
    }
    if (assigned.get(standIn)?.active !== active) {
      assigned.set(standIn, { version, active, arm });
      for (const each of version.signatures?.values() ?? []) standInOf(each, active, arm);
    }
    return standIn;
  }

  async function resolve(
    active: ActiveRollout,
    reference: ModelReference,
    requester: Requester,
    patience: Partial<Patience>,
  ): Promise<ReadyVersion> {
    const { model, rollout, held } = active;
    const isCandidate = held === undefined ? isForCandidate(model, rollout, requester, random) : held.decision === 'promoted';
    let isInstead = false;
    if (isCandidate) {
      try {
        return standInOf(await uncounted.resolve({ model, version: rollout.candidate }, requester, patience), active, 'candidate');
      } catch (error) {
        const { code } = toSlipwayError(error);
        if (NOBODYS_FAULT.has(code)) throw error;
        isInstead = !ON_ITS_WAY.has(code);
      }
    }
    try {
      const baseline = standInOf(await uncounted.resolve({ model, version: rollout.baseline }, requester, patience), active, 'baseline');
      // Not before: where neither can answer, such as in a model that was unloaded, it is not the candidate's fault.
      if (isInstead) active.unavailable();
      return baseline;
    } catch {
      // As if there were no rollout; what is wrong then is said of what was asked for.
      return inference.resolve(reference, requester, patience);
    }
  }

  /** What only asks about the model is told of the baseline, and counts for nothing. */
  async function resolveBaseline(
    { model, rollout }: ActiveRollout,
    reference: ModelReference,
    patience: Partial<Patience>,
  ): Promise<ReadyVersion> {
    try {
      return await uncounted.resolve({ model, version: rollout.baseline }, undefined, patience);
    } catch {
      return inference.resolve(reference, undefined, patience);
    }
  }

  /** Runs a request again on the candidate. It is left out, not failed, where the server was too busy for it. */
  async function shadow({ active, version: baseline }: Assigned, request: Request, answer: InferenceResponse): Promise<void> {
    const { model, rollout } = active;
    const { signatureName } = baseline;
    shadows += 1;
    try {
      const deadline = performance.now() + shadowTimeoutMs;
      const candidate = await shadowing.resolve({ model, version: rollout.candidate }, undefined, { deadline });
      const named = signatureName === undefined ? candidate : candidate.signatures?.get(signatureName);
      if (named === undefined) return active.shadowFailed();
      // The tensors were made as the baseline's slipway.json says, such as with its means and its vocabulary.
      if (!isReadAlike(baseline, candidate)) return active.shadowDropped();
      const { inputs, outputs } = request;
      const given = await shadowing.predict(named, {
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
      const { code } = toSlipwayError(error);
      if (isBlameless(error) || NOT_RUN.has(code)) active.shadowDropped();
      else active.shadowFailed();
    } finally {
      shadows -= 1;
    }
  }

  type Request = Omit<InferenceRequest, 'reference'>;

  async function predict(own: Assigned, request: Request): Promise<InferenceResponse> {
    const { version, active, arm } = own;
    let answer: InferenceResponse;
    try {
      answer = await inference.predict(version, request);
    } catch (error) {
      if (!isBlameless(error)) active.failed(arm);
      throw error;
    }
    active.answered(arm, answer.times.totalMs);
    if (arm === 'baseline' && active.held === undefined && random() < active.rollout.shadow) {
      if (shadows >= maxShadowing) active.shadowDropped();
      else void shadow(own, request, answer);
    }
    return answer;
  }

  return {
    ...inference,
    resolve(reference, requester, patience = {}) {
      const active = rollouts.of(reference);
      if (active === undefined) return inference.resolve(reference, requester, patience);
      return requester === undefined ? resolveBaseline(active, reference, patience) : resolve(active, reference, requester, patience);
    },
    predict(version, request) {
      const own = assigned.get(version);
      return own === undefined ? inference.predict(version, request) : predict(own, request);
    },
  };
}
