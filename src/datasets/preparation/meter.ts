export interface Meter {
  /** @param value NaN when missing. */
  add(value: number): void;
  readonly missing: number;
  readonly mean: number;
  /** Of the population; 1 for what never changes, so that it can be divided by. */
  readonly std: number;
}

/** Mean and deviation of the present values, and how many are missing (B. P. Welford, 1962). */
export function createMeter(): Meter {
  let count = 0;
  let missing = 0;
  let mean = 0;
  let squares = 0;
  return {
    add(value: number): void {
      if (Number.isNaN(value)) {
        missing += 1;
        return;
      }
      count += 1;
      const distance = value - mean;
      mean += distance / count;
      squares += distance * (value - mean);
    },
    get missing() {
      return missing;
    },
    get mean() {
      return mean;
    },
    get std() {
      const std = Math.sqrt(squares / count);
      return std > 0 ? std : 1;
    },
  };
}
