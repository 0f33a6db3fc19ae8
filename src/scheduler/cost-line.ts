/** What is known of the time of a batch: `baseMs + perRowMs × rows`. */
export interface CostFit {
  readonly baseMs: number;
  readonly perRowMs: number;
  /** Batches that were measured. */
  readonly samples: number;
}

/** Learns what batches of a model cost while it runs; older measurements count less and less. */
export interface CostLine {
  /** @param rows of the batch; @param ms from its start to its answer. */
  add(rows: number, ms: number): void;
  /** Undefined before the first measurement. */
  readonly fit: CostFit | undefined;
  /** Milliseconds of a batch; undefined before the first measurement. */
  estimate(rows: number): number | undefined;
  /** Most rows that take no longer than `budgetMs`, at least 1 and at most `most`; 1 before the first measurement. */
  rowsWithin(budgetMs: number, most: number): number;
}

/** A measurement counts half of a new one after about 34 others. */
const DECAY = 0.98;

/** A line needs batches of different sizes: below this variance of their rows, cost is taken to grow with the rows. */
const LEAST_VARIANCE = 0.01;

/** Weighted least squares of time over rows. The line never falls and never starts below zero. */
export function createCostLine(): CostLine {
  let samples = 0;
  let weight = 0;
  let sumRows = 0;
  let sumMs = 0;
  let sumRowsRows = 0;
  let sumRowsMs = 0;
  let fit: CostFit | undefined;

  function solve(): CostFit {
    const meanRows = sumRows / weight;
    const meanMs = sumMs / weight;
    const variance = sumRowsRows / weight - meanRows * meanRows;
    const slope = variance < LEAST_VARIANCE ? 0 : (sumRowsMs / weight - meanRows * meanMs) / variance;
    const proportional = meanMs / meanRows;
    // Without a slope nothing is known of larger batches but that they cost no more than their share.
    if (slope <= 0) return { baseMs: 0, perRowMs: proportional, samples };
    if (slope >= proportional) return { baseMs: 0, perRowMs: proportional, samples };
    return { baseMs: meanMs - slope * meanRows, perRowMs: slope, samples };
  }

  return {
    add(rows, ms) {
      if (!(rows > 0) || !(ms >= 0)) return;
      // The first run warms the engine up and says little of those that follow.
      if (samples === 1) weight = sumRows = sumMs = sumRowsRows = sumRowsMs = 0;
      samples += 1;
      weight = weight * DECAY + 1;
      sumRows = sumRows * DECAY + rows;
      sumMs = sumMs * DECAY + ms;
      sumRowsRows = sumRowsRows * DECAY + rows * rows;
      sumRowsMs = sumRowsMs * DECAY + rows * ms;
      fit = solve();
    },
    get fit() {
      return fit;
    },
    estimate: (rows) => (fit === undefined ? undefined : fit.baseMs + fit.perRowMs * rows),
    rowsWithin(budgetMs, most) {
      if (fit === undefined) return 1;
      if (fit.perRowMs === 0) return most;
      return Math.max(1, Math.min(most, Math.floor((budgetMs - fit.baseMs) / fit.perRowMs)));
    },
  };
}
