/**
 * What a run of a model costs by its size: a·n + b milliseconds, learned from the runs themselves. Runs of like sizes are
 * averaged in a class (powers of two), and a line is laid through the classes by least squares of the relative error, so
 * that small runs count as much as large ones. Old classes lose weight, for models and machines change.
 */
export interface CostLine {
  /** Runs that were observed. */
  readonly observations: number;
  /** Smallest size that was run; Infinity before the first. */
  readonly smallest: number;
  /** Largest size that was run. */
  readonly largest: number;
  /** True once runs of different sizes were seen, so that both a and b are known. */
  readonly fitted: boolean;
  /** b, in milliseconds; NaN before the first run. */
  readonly fixedMs: number;
  /** a, in milliseconds; NaN before the first run. */
  readonly perUnitMs: number;
  /** What was seen, by class of size. */
  readonly samples: readonly CostSample[];
  observe(size: number, ms: number): void;
  /** Time of a run, in milliseconds; NaN before the first. */
  predict(size: number): number;
  /** The largest size that takes no longer than `ms`; may be Infinity. */
  sizeWithin(ms: number): number;
  /** The size at which all but the share `rest` of the time is work that grows with the size; Infinity if none does. */
  sizeAtEfficiency(rest: number): number;
}

export interface CostSample {
  /** Mean size of the runs in the class. */
  readonly size: number;
  readonly ms: number;
  readonly runs: number;
}

interface SizeClass {
  size: number;
  ms: number;
  runs: number;
  lastAt: number;
}

/** Weight of a new run in the mean of its class, once the class has some. */
const SMOOTHING = 0.1;
/** A run that took so many times its class's mean met something else, e.g. a busy machine, and counts as this much. */
const OUTLIER = 4;
/** Runs from which a class has its full weight. */
const FULL_WEIGHT_RUNS = 16;
/** After this time without a run a class has half its weight, in milliseconds. */
const HALF_LIFE_MS = 10_000;
/** Classes whose mean sizes differ by less than this factor do not tell a from b. */
const MIN_SPREAD = 1.2;

export function createCostLine(now: () => number): CostLine {
  const classes = new Map<number, SizeClass>();
  let observations = 0;
  let smallest = Infinity;
  let largest = 0;
  let fitted = false;
  let fixedMs = Number.NaN;
  let perUnitMs = Number.NaN;

  function fit(): void {
    const time = now();
    let weights = 0;
    let sizes = 0;
    let times = 0;
    let squares = 0;
    let products = 0;
    let least = Infinity;
    let greatest = 0;
    for (const { size, ms, runs, lastAt } of classes.values()) {
      const weight = (Math.min(runs, FULL_WEIGHT_RUNS) * 2 ** ((lastAt - time) / HALF_LIFE_MS)) / (ms * ms);
      weights += weight;
      sizes += weight * size;
      times += weight * ms;
      squares += weight * size * size;
      products += weight * size * ms;
      least = Math.min(least, size);
      greatest = Math.max(greatest, size);
    }
    fitted = greatest >= MIN_SPREAD * least;
    const spread = weights * squares - sizes * sizes;
    if (!fitted || !(spread > 0)) {
      fitted = false;
      // One size tells nothing of others; that its cost grows with the size is the safe guess.
      perUnitMs = products / squares;
      fixedMs = 0;
      return;
    }
    perUnitMs = (weights * products - sizes * times) / spread;
    fixedMs = (times - perUnitMs * sizes) / weights;
    if (perUnitMs < 0) {
      perUnitMs = 0;
      fixedMs = times / weights;
    } else if (fixedMs < 0) {
      fixedMs = 0;
      perUnitMs = products / squares;
    }
  }

  return {
    get observations() {
      return observations;
    },
    get smallest() {
      return smallest;
    },
    get largest() {
      return largest;
    },
    get fitted() {
      return fitted;
    },
    get fixedMs() {
      return fixedMs;
    },
    get perUnitMs() {
      return perUnitMs;
    },
    get samples() {
      return [...classes.values()].toSorted((a, b) => a.size - b.size).map(({ size, ms, runs }) => ({ size, ms, runs }));
    },
    observe(size, ms) {
      if (!(size > 0) || !(ms > 0)) return;
      observations += 1;
      smallest = Math.min(smallest, size);
      largest = Math.max(largest, size);
      const key = Math.floor(Math.log2(size));
      const found = classes.get(key);
      if (found === undefined) classes.set(key, { size, ms, runs: 1, lastAt: now() });
      else {
        found.runs += 1;
        found.lastAt = now();
        const weight = Math.max(SMOOTHING, 1 / found.runs);
        const counted = found.runs > 4 ? Math.min(ms, OUTLIER * found.ms) : ms;
        found.size += weight * (size - found.size);
        found.ms += weight * (counted - found.ms);
      }
      fit();
    },
    predict(size) {
      return perUnitMs * size + fixedMs;
    },
    sizeWithin(ms) {
      const left = ms - fixedMs;
      if (left <= 0) return 0;
      return perUnitMs > 0 ? left / perUnitMs : Infinity;
    },
    sizeAtEfficiency(rest) {
      return perUnitMs > 0 ? (fixedMs * (1 - rest)) / (rest * perUnitMs) : Infinity;
    },
  };
}
