import type { Rollout, RolloutDecision, RolloutRequest } from '../packages/rollout.ts';
import type { Signature } from '../tensor/signature.ts';
import type { VersionManifest, ModelManifest } from '../packages/manifest.ts';
import type { ModelFormat } from '../packages/formats.ts';
import type { BudgetDescription } from './memory/tenant.ts';
import type { InstanceDescription, LoadedInfo, Runner } from '../runners/runner.ts';

export type VersionState = 'loading' | 'ready' | 'draining' | 'unloaded' | 'failed';

/** How a request names a model: by the latest ready version, a version or a label. */
export interface ModelReference {
  readonly model: string;
  readonly version?: number;
  readonly label?: string;
}

/** A version that can answer now. Hold it with `acquire` while a request uses it, so that draining waits. */
export interface ReadyVersion {
  readonly model: string;
  readonly version: number;
  readonly signature: Signature;
  readonly manifest: VersionManifest;
  /** Of its files. */
  readonly folder: string;
  readonly runner: Runner;
  /** The same version by its other signatures, by their names; the name of this one, where it is such a one. */
  readonly signatures?: ReadonlyMap<string, ReadyVersion> | undefined;
  readonly signatureName?: string | undefined;
  /** Marks one request in flight; the returned function ends it, once. */
  acquire(): () => void;
}

/** How long somebody waits. */
export interface Patience {
  /** On the `performance.now()` clock. */
  readonly deadline: number;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal | undefined;
}

export interface VersionDescription {
  readonly version: number;
  readonly state: VersionState;
  /** Why the version is in this state, in words; empty when there is nothing to say. */
  readonly reason: string;
  readonly format: ModelFormat | undefined;
  /** Engine, backend, device, memory and why; present once the version was loaded. */
  readonly loaded: LoadedInfo | undefined;
  readonly signature: Signature | undefined;
  readonly manifest: VersionManifest | undefined;
  /** The public key of who has signed it, in base64. */
  readonly signedBy: string | undefined;
  readonly restarts: number;
  /** Of the engine in each instance, for one run; undefined while nothing is to be loaded. */
  readonly threads: number | undefined;
  /** The processes that run it. */
  readonly instances: readonly InstanceDescription[];
  /** True while it is not in memory and its next request loads it. */
  readonly onDemand: boolean;
}

export interface ModelDescription {
  readonly name: string;
  /** The version that answers when a request names none. */
  readonly defaultVersion: number | undefined;
  readonly labels: Readonly<Record<string, number>>;
  readonly versionPolicy: ModelManifest['versionPolicy'];
  readonly rollout: Rollout | undefined;
  /** How the last rollouts ended, the latest first. */
  readonly decisions: readonly RolloutDecision[];
  /** Whether it stays in memory. */
  readonly pinned: boolean;
  /** What is wrong with the model's own manifest; empty when it is fine. */
  readonly reason: string;
  /** In ascending order. */
  readonly versions: readonly VersionDescription[];
}

/** The models on disk and their life. */
export interface Registry {
  /** Scans the repository and begins to load. Resolves when each version found is ready or failed. */
  start(): Promise<void>;
  /** Drains and ends every version. */
  stop(): Promise<void>;
  /**
   * The version that answers a reference now.
   * @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_NOT_FOUND, MODEL_NOT_READY, MODEL_FAILED, MODEL_UNLOADED.
   */
  resolve(reference: ModelReference): ReadyVersion;
  /**
   * The version that answers a reference now; undefined when it is not in memory and `demand` brings it there.
   * @throws SlipwayError as `resolve`.
   */
  find(reference: ModelReference): ReadyVersion | undefined;
  /**
   * The same once it is in memory. Whoever asks at the same time waits for the same load.
   * @throws SlipwayError as `resolve`; MODEL_TOO_LARGE, QUEUE_FULL, MODEL_NOT_READY when the patience ends first,
   *   REQUEST_CANCELLED.
   */
  demand(reference: ModelReference, patience: Patience): Promise<ReadyVersion>;
  /** What the models in memory take. */
  memory(): BudgetDescription;
  list(): readonly ModelDescription[];
  /** @throws SlipwayError MODEL_NOT_FOUND */
  describe(model: string): ModelDescription;
  /** @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND */
  describeVersion(model: string, version: number): VersionDescription;
  /** Loads what the model's version policy selects, failed versions again too. Resolves when that is done. */
  load(model: string): Promise<ModelDescription>;
  /** Drains and unloads the whole model until `load` is called or the server starts anew. */
  unload(model: string): Promise<ModelDescription>;
  /** Points a label at a version that is on disk and writes it to slipway-model.json. */
  setLabel(model: string, label: string, version: number): Promise<ModelDescription>;
  removeLabel(model: string, label: string): Promise<ModelDescription>;
  /** The candidate that is let in beside the version that answers; undefined for most models. */
  rolloutOf(model: string): Rollout | undefined;
  /**
   * Begins a rollout, or changes the terms of the one of the same candidate, and writes it to slipway-model.json.
   * Resolves when both versions are loaded, or have failed to.
   * @throws SlipwayError VERSION_NOT_FOUND, LABEL_NOT_FOUND, INVALID_REQUEST; MODEL_BUSY while another one is under way
   */
  setRollout(model: string, request: RolloutRequest): Promise<ModelDescription>;
  /**
   * Ends a rollout: from then on the candidate answers alone where it was promoted, else the baseline, by the label or the
   * version policy. The decision stays in slipway-model.json.
   * @throws SlipwayError ROLLOUT_NOT_FOUND; VERSION_NOT_FOUND when the files of the one that is to answer are gone
   */
  endRollout(model: string, decision: Pick<RolloutDecision, 'decision' | 'by' | 'reason' | 'counts'>): Promise<ModelDescription>;
  /** Chooses which versions are served and writes it to slipway-model.json. Resolves when these are loaded. */
  setVersionPolicy(model: string, policy: ModelManifest['versionPolicy']): Promise<ModelDescription>;
  /**
   * Takes a prepared version folder (same file system) into the repository by one atomic rename and loads it by the
   * model's policy, once it was read and loaded on trial. Without a version it takes the next free number. Creates the
   * model if it is new.
   * @throws SlipwayError VERSION_EXISTS, INVALID_MODEL and what else keeps the folder from being read or loaded
   */
  publish(model: string, version: number | undefined, preparedFolder: string): Promise<VersionDescription>;
  /** Drains a version and deletes its folder. */
  remove(model: string, version: number): Promise<void>;
  /** Absolute path of a version's folder, for download. */
  folderOf(model: string, version: number): string;
  /**
   * Copies the files of a version to `target`, as a whole or not at all, for work that outlives it, unless they are
   * there already. The copy is verified.
   * @throws SlipwayError INVALID_MODEL, DIGEST_MISMATCH, UNTRUSTED_PACKAGE and what else keeps the version from being loaded
   */
  copy(model: string, version: number, target: string): Promise<void>;
}
