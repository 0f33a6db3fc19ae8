import type { NamedTensors } from '../tensor/tensor.ts';
import type { CostSample } from './cost-line.ts';
import type { Latencies } from './latencies.ts';

/** How one model's requests are scheduled. All of it can be changed while requests wait. */
export interface SchedulerSettings {
  /** Most requests that wait for one version. */
  readonly maxQueueDepth: number;
  /** A request whose wait is predicted to be longer is refused, in milliseconds. */
  readonly maxQueueMs: number;
  /** Most rows of a batch; 1 turns batching off. A larger request runs alone. */
  readonly maxBatchSize: number;
  /** Batches are made no larger than what is predicted to take this long, in milliseconds, or four times one row if that is more. */
  readonly batchLatencyMs: number;
  /** Batches are made only where a trial gave the same bits as requests alone. */
  readonly exactBatches: boolean;
}

/** What is needed of an `AbortSignal`, which is one; making one of those costs a request more than the rest of its queue. */
export interface Cancellation {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** One request, its inputs checked. */
export interface Work {
  readonly inputs: NamedTensors;
  /** Names of the wanted outputs. */
  readonly outputs: readonly string[];
  /** Moment by which the answer must be there, on the `performance.now()` clock. */
  readonly deadline: number;
  /** 1 goes first, then 2 and so on. */
  readonly priority: number;
  /** Whoever sent it, for turns; empty when that does not matter. */
  readonly client: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: Cancellation | undefined;
}

export interface Completion {
  readonly outputs: NamedTensors;
  /** From the request's arrival until it was sent to the runner, in milliseconds. */
  readonly queueMs: number;
  /** In the engine, of the whole batch, in milliseconds. */
  readonly computeMs: number;
  /** Rows that ran together, this request's own included. */
  readonly batchRows: number;
  /** True for one request of each batch, so that runs of the engine can be counted. */
  readonly leads: boolean;
  /** The same object for all that ran together; undefined for a request that ran alone. */
  readonly batch?: object | undefined;
}

/** What a scheduler decided when it sent a batch. */
export interface Decision {
  /** When it was sent, in milliseconds since 1970. */
  readonly at: number;
  readonly requests: number;
  readonly rows: number;
  /** In units of the fit. */
  readonly size: number;
  /** How long its first request had waited, in milliseconds. */
  readonly waitedMs: number;
  /** Requests that were left to wait. */
  readonly left: number;
  /** Undefined before anything was learned. */
  readonly predictedMs: number | undefined;
  /** In the engine; undefined while it runs, or when it failed. */
  readonly computeMs: number | undefined;
  /** Why it was sent then, and with no more in it. */
  readonly reason: string;
}

/** `proving`: no request was tried in a batch yet. */
export type BatchingState = 'off' | 'proving' | 'on';

/** What a scheduler does and why, for people. Times are in milliseconds; what is not known yet is undefined. */
export interface SchedulerDescription {
  readonly batching: {
    readonly state: BatchingState;
    readonly reason: string;
    /** Whether the trial gave the same bits. */
    readonly exact: boolean | undefined;
  };
  /** A run of n units takes `perUnitMs`·n + `fixedMs` in the engine, and `overheadMs` on the way there and back. */
  readonly fit: {
    readonly unit: 'rows' | 'elements';
    readonly perUnitMs: number | undefined;
    readonly fixedMs: number | undefined;
    readonly overheadMs: number | undefined;
    readonly runs: number;
    readonly samples: readonly CostSample[];
  };
  /** The largest batch that is made at present, in units of the fit. */
  readonly targetSize: number | undefined;
  readonly queue: {
    readonly depth: number;
    /** What a request that comes now is predicted to wait. */
    readonly waitMs: number;
    /** Runs that were sent and are not answered yet. */
    readonly inFlight: number;
  };
  /** Of the latest requests, from arrival to answer. */
  readonly latency: ReturnType<Latencies['percentiles']>;
  /** What nearly every request is predicted to stay below: the largest of the latest batches to end, then another one. */
  readonly predictedP99Ms: number | undefined;
  readonly dropped: {
    /** The queue had no room. */
    readonly queueFull: number;
    /** The answer would have come too late. */
    readonly unreachable: number;
    /** The time was over while it waited or ran. */
    readonly expired: number;
    readonly cancelled: number;
  };
  /** The last batches, the latest first. */
  readonly decisions: readonly Decision[];
}

/** The queue in front of one model's runner, and who of it runs together. */
export interface Scheduler {
  /**
   * Runs a request when its turn comes. One that expires or is aborted while it waits never reaches the runner; one that
   * expires while it runs is answered at once, and its result is dropped.
   * @throws SlipwayError QUEUE_FULL, DEADLINE_UNREACHABLE, DEADLINE_EXCEEDED, REQUEST_CANCELLED, and what the runner throws.
   */
  submit(work: Work): Promise<Completion>;
  describe(): SchedulerDescription;
}
