/** A number that is found by trying: what each costs is told after the work that was done with it, which had to be done anyway. */
export interface MeasuredChoice {
  /** The one to work with next. */
  readonly now: number;
  /** @param cost of the work that was just done with `now`; comparable, such as milliseconds for an example */
  tell(cost: number): void;
}

/** How often each one is tried. The first time warms up and does not count, of the others the least cost does. */
const TRIALS = 4;

/** Tries all options in turn, then stays with the cheapest; of equal ones with the first. */
export function measuredChoice(options: readonly number[]): MeasuredChoice {
  const costs = options.map(() => Number.POSITIVE_INFINITY);
  const end = options.length === 1 ? 0 : options.length * TRIALS;
  let told = 0;
  return {
    get now() {
      return options[told < end ? told % options.length : costs.indexOf(Math.min(...costs))]!;
    },
    tell(cost) {
      if (told >= end) return;
      const index = told % options.length;
      if (told >= options.length) costs[index] = Math.min(costs[index]!, cost);
      told += 1;
    },
  };
}
