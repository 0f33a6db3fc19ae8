import type { ReadyVersion } from '../registry/types.ts';
import type { Runner } from '../runners/runner.ts';
import type { Work } from './batch.ts';
import { type BatchingDescription, createBatcher, type Batcher, type Outcome } from './batcher.ts';
import { createLatencies, type Latencies } from './latencies.ts';
import { createQueue, type Queue } from './queue.ts';

/** What can be set for a model while it serves. */
export interface SchedulerSettings {
  /** Requests that may wait for one version. */
  readonly maxQueueDepth: number;
  /** Most rows of a batch; 1 turns batching off. */
  readonly maxBatchSize: number;
  /** Batches are made no larger than what takes about this long, in milliseconds. */
  readonly batchLatencyMs: number;
}

/** What to change; the rest stays. */
export type SchedulerChange = { readonly [Name in keyof SchedulerSettings]?: SchedulerSettings[Name] | undefined };

/** What stands in front of one runner. */
export interface Lane {
  readonly queue: Queue<Work, Outcome>;
  /** Of whole requests. */
  readonly latencies: Latencies;
}

export interface LaneDescription {
  readonly batching: BatchingDescription;
  readonly queue: {
    readonly depth: number;
    /** About how long a request that comes now waits. */
    readonly waitMs: number;
  };
  /** Of the latest requests; undefined before the first. */
  readonly latency: ReturnType<Latencies['percentiles']>;
  /** The time of a request that comes just after a full batch was begun and goes with a full one; 0 when nothing was measured. */
  readonly predictedP99Ms: number;
}

/** The lanes of all runners, and the settings of the models that have their own. */
export interface Lanes {
  of(version: ReadyVersion): Lane;
  settingsOf(model: string): SchedulerSettings;
  /** Holds from now on, for the versions that serve too, until the server ends. */
  update(model: string, change: SchedulerChange): void;
  describe(version: ReadyVersion): LaneDescription;
}

interface OwnedLane extends Lane {
  readonly batcher: Batcher;
}

export function createLanes(defaults: SchedulerSettings): Lanes {
  /** Gone with its runner. */
  const lanes = new WeakMap<Runner, OwnedLane>();
  const changes = new Map<string, SchedulerSettings>();

  const settingsOf = (model: string): SchedulerSettings => changes.get(model) ?? defaults;

  function laneOf({ model, runner, signature }: ReadyVersion): OwnedLane {
    let lane = lanes.get(runner);
    if (lane === undefined) {
      const batcher = createBatcher(runner, signature, () => settingsOf(model));
      const queue = createQueue({ ...batcher, maxDepth: () => settingsOf(model).maxQueueDepth });
      lane = { batcher, queue, latencies: createLatencies() };
      lanes.set(runner, lane);
    }
    return lane;
  }

  return {
    of: laneOf,
    settingsOf,
    update(model, change) {
      const { maxQueueDepth, maxBatchSize, batchLatencyMs } = settingsOf(model);
      changes.set(model, {
        maxQueueDepth: change.maxQueueDepth ?? maxQueueDepth,
        maxBatchSize: change.maxBatchSize ?? maxBatchSize,
        batchLatencyMs: change.batchLatencyMs ?? batchLatencyMs,
      });
    },
    describe(version) {
      const { batcher, queue, latencies } = laneOf(version);
      const batching = batcher.describe();
      return {
        batching,
        queue: { depth: queue.depth, waitMs: queue.waitMs },
        latency: latencies.percentiles(),
        predictedP99Ms: queue.waitMs + 2 * batcher.drainMs(batching.maxRows),
      };
    },
  };
}
