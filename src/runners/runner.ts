import { basename, dirname } from 'node:path';
import type { Choice } from '../choice/choice.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import type { Signature } from '../tensor/signature.ts';
import type { EngineName, EngineWishes, WarmUpReport } from '../engines/engine.ts';
import type { ModelFormat } from '../packages/formats.ts';
import type { SlipwayError } from '../errors/slipway-error.ts';

/** What a runner is to load. */
export interface Placement extends EngineWishes {
  /** Absolute path of the version folder. */
  readonly folder: string;
  readonly format: ModelFormat;
  readonly threads: number;
  /** Processes that answer as one; 1 when left out. */
  readonly instances?: number;
  /** Folder with the recorded requests that it is warmed up with, when it is not `folder`. */
  readonly recordedFolder?: string;
  /** What messages call the model; by its folder when left out. */
  readonly label?: string;
  /**
   * Asked before a process is started again, since the files may have changed meanwhile: when it throws, the runner is
   * failed with its error. Before the first start whoever launches has checked already.
   */
  readonly verify?: (() => Promise<void>) | undefined;
}

/** What messages call the model of a placement: `digits/1` for `…/models/digits/1`. */
export function labelOf({ label, folder }: Placement): string {
  return label ?? `${basename(dirname(folder))}/${basename(folder)}`;
}

/** What is known of the model that a runner has loaded. */
export interface LoadedInfo extends ToldInfo {
  readonly pid: number;
  /** Why it runs so and not in another way; undefined where nobody chooses. */
  readonly choice?: Choice | undefined;
}

/** What the process says itself. */
export interface ToldInfo {
  readonly signature: Signature;
  /** Its other signatures, by their names. */
  readonly signatures?: Readonly<Record<string, Signature>> | undefined;
  readonly engine: EngineName;
  readonly backend: string;
  readonly device: string;
  /** Why this engine and backend, in words for users. */
  readonly reason: string;
  /** Resident memory of the runner process once the model is loaded, in bytes. */
  readonly memoryBytes: number;
  /** What it takes of the memory of a GPU then, in bytes; undefined where the library does not tell. */
  readonly deviceBytes?: number | undefined;
  /** Undefined when it was not warmed up. */
  readonly warmUp?: WarmUpReport | undefined;
}

export interface RunResult {
  readonly outputs: NamedTensors;
  /** Time inside the engine, in nanoseconds. */
  readonly computeNs: number;
}

export type RunnerStatus =
  | { readonly state: 'starting' }
  | { readonly state: 'ready'; readonly info: LoadedInfo }
  /** The process crashed and will be started again; `reason` says how it ended and when the next try is. */
  | { readonly state: 'restarting'; readonly reason: string; readonly retryAfterMs: number; readonly info: LoadedInfo | undefined }
  /** Given up: the model can't be loaded, or crashed too often. */
  | { readonly state: 'failed'; readonly error: SlipwayError }
  | { readonly state: 'stopped' };

/** One process of a runner. */
export interface InstanceDescription {
  readonly state: RunnerStatus['state'];
  /** Undefined while it has none. */
  readonly pid: number | undefined;
  /** Restarts since the runner was made. */
  readonly restarts: number;
  /** Runs sent to it and not answered yet. */
  readonly inFlight: number;
}

/**
 * A model in a process of its own, kept alive. Crashes fail only the requests that were in the process, with
 * RUNNER_CRASHED; the process is started again with back-off until it crashes too often in a row.
 */
export interface Runner {
  readonly status: RunnerStatus;
  /** Restarts since the runner was made. */
  readonly restarts: number;
  /** Runs that are worked on side by side when so many are sent. */
  readonly concurrency: number;
  /** Requests sent to the process and not answered yet. */
  readonly inFlight: number;
  /** Its processes; one, unless the placement asks for more. */
  readonly instances: readonly InstanceDescription[];
  /** Called at each change of `status`, after it changed. */
  onStatus(listener: (status: RunnerStatus) => void): void;
  /** Resolves once the model is loaded; rejects with the coded reason when it is failed or stopped first. */
  ready(): Promise<LoadedInfo>;
  /**
   * Runs the model on inputs that fit its signature.
   * @param parts at least one; several are joined along the first dimension and run together. They have the same names,
   * dtypes and other dimensions. The outputs are of all of them.
   * @param signatureName one of the model's other signatures, which they fit then.
   * @throws SlipwayError RUNNER_CRASHED, RUNNER_UNRESPONSIVE, MODEL_NOT_READY, INFERENCE_FAILED and what else the engine codes.
   */
  run(parts: readonly NamedTensors[], outputs: readonly string[], signatureName?: string): Promise<RunResult>;
  /** What its process takes of the memory now, in bytes; of what it shares with other processes its part, where the system tells. */
  memoryBytes(): Promise<number>;
  /** What it takes of the memory of its GPU, as it told last, in bytes; 0 on a CPU, undefined where the library does not tell. */
  readonly deviceBytes: number | undefined;
  /** Ends the process and waits for its end. Requests in flight fail with RUNNER_CRASHED; drain first. Safe to call twice. */
  stop(): Promise<void>;
}

/** Starts runners; the registry knows them only by this. */
export interface RunnerLauncher {
  launch(placement: Placement): Runner;
}
