/** A number that is found by trying: what each costs is told after the work that was done with it, which had to be done anyway. */
export interface MeasuredChoice {
  /** The one to work with next. */
  readonly now: number;
  /** @param cost of the work that was just done with `now`; comparable, such as milliseconds for an example */
  tell(cost: number): void;
}

/** How often each one is tried. The first time warms up and does not count, of the others the least cost does. */
const TRIALS = 5;

/** Work that is done with the cheapest before all are tried anew: others may have used the machine meanwhile, or stopped. */
const KEPT = 1_000;

/** Tries all options in turn, then stays with the cheapest for a while; of equal ones with the first. */
export function measuredChoice(options: readonly number[]): MeasuredChoice {
  const trials = options.length * TRIALS;
  const costs = options.map(() => Number.POSITIVE_INFINITY);
  let told = 0;
  return {
    get now() {
      return options[told < trials ? told % options.length : costs.indexOf(Math.min(...costs))]!;
    },
    tell(cost) {
      if (told === 0) costs.fill(Number.POSITIVE_INFINITY);
      const index = told % options.length;
      if (told >= options.length && told < trials) costs[index] = Math.min(costs[index]!, cost);
      told = (told + 1) % (trials + KEPT);
    },
  };
}
