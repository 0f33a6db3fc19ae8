import type { CostLine } from './cost-line.ts';

/**
 * What the runner is at work on, and how fast work goes through it: what waits are predicted from.
 */
export interface RunnerLoad {
  /** Runs that were sent and are not answered yet. */
  readonly runs: number;
  /** The predicted time of what is left of them, side by side, in milliseconds. */
  remainingMs(): number;
  /** Time of a run, from when it was sent until its answer, in milliseconds; NaN before the first. */
  predict(size: number): number;
  /** True when a run ended so lately that predictions for the next one can be relied on. */
  readonly isKnown: boolean;
  /** On the way to the runner and back, in milliseconds; NaN before the first run. */
  readonly overheadMs: number;
  /** Time in which the runner works off so much that waits, in batches of so much, in milliseconds. */
  workOff(size: number, batchSize: number): number;
  /**
   * A run is sent. Call the returned function at its end, with the time in the engine unless it failed, and whether
   * requests wait then.
   */
  begin(size: number): (computeMs: number | undefined, backlog: boolean) => void;
}

/** Weight of the latest run in the means below. */
const SMOOTHING = 0.1;
/** Runs with a backlog from which the measured rate is trusted, and for how long, in milliseconds. */
const MEASURED_RUNS = 8;
const MEASURED_FOR_MS = 10_000;

/** How long after a run its successors are taken to cost the same, in milliseconds. */
const KNOWN_FOR_MS = 1_000;

export function createRunnerLoad(cost: CostLine, concurrency: () => number, now: () => number): RunnerLoad {
  let runs = 0;
  let predictedMs = 0;
  let startedAt = 0;
  let overheadMs = Number.NaN;
  /** Measured while requests waited: time of one unit of size. */
  let unitMs = Number.NaN;
  let measured = 0;
  let measuredAt = 0;
  let lastEnd = Number.NaN;
  let knownAt = -Infinity;

  function predict(size: number): number {
    return cost.predict(size) + (Number.isNaN(overheadMs) ? 0 : overheadMs);
  }

  return {
    get runs() {
      return runs;
    },
    get isKnown() {
      return now() - knownAt < KNOWN_FOR_MS;
    },
    get overheadMs() {
      return overheadMs;
    },
    predict,
    remainingMs() {
      if (runs === 0) return 0;
      return Math.max(0, predictedMs / Math.max(1, concurrency()) - (now() - startedAt));
    },
    workOff(size, batchSize) {
      if (size <= 0) return 0;
      if (measured >= MEASURED_RUNS && now() - measuredAt < MEASURED_FOR_MS) return size * unitMs;
      const batches = Math.ceil(size / Math.max(1, batchSize));
      const ms = predict(size / batches) * batches;
      return Number.isNaN(ms) ? 0 : ms / Math.max(1, concurrency());
    },
    begin(size) {
      const sentAt = now();
      const alone = runs === 0;
      const expected = predict(size);
      const counted = Number.isNaN(expected) ? 0 : expected;
      if (alone) startedAt = sentAt;
      runs += 1;
      predictedMs += counted;
      return (computeMs, backlog) => {
        const endedAt = now();
        runs -= 1;
        predictedMs = runs === 0 ? 0 : predictedMs - counted;
        startedAt = endedAt;
        if (computeMs === undefined) {
          lastEnd = Number.NaN;
          return;
        }
        knownAt = endedAt;
        cost.observe(size, computeMs);
        if (alone) {
          const overhead = Math.max(0, endedAt - sentAt - computeMs);
          overheadMs = Number.isNaN(overheadMs) ? overhead : overheadMs + SMOOTHING * (Math.min(overhead, 4 * overheadMs + 1) - overheadMs);
        }
        if (!Number.isNaN(lastEnd)) {
          const ms = (endedAt - lastEnd) / size;
          unitMs = measured === 0 ? ms : unitMs + SMOOTHING * (ms - unitMs);
          measured += 1;
          measuredAt = endedAt;
        }
        lastEnd = backlog ? endedAt : Number.NaN;
      };
    },
  };
}
