/*
 * A test that may be looked at after every request. For the share p of requests that fail (or disagree), the mixture of
 * likelihood ratios over a Beta(½, ½) prior,
 *
 *   M(p) = B(½ + k, ½ + n − k) / (B(½, ½) · p^k · (1 − p)^(n − k)),
 *
 * is a martingale that begins at 1 when p is the true share and k of n requests have failed. By Ville's inequality it ever
 * reaches 1/α with probability at most α. So { p : M(p) < 1/α } holds the true share at all times at once with probability
 * at least 1 − α: a confidence sequence (H. Robbins, Statistical methods related to the law of the iterated logarithm,
 * Annals of Mathematical Statistics 41, 1970; S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric,
 * nonasymptotic confidence sequences, Annals of Statistics 49, 2021).
 */

/** How often something happened out of how many times. */
export interface Tally {
  readonly count: number;
  readonly total: number;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Coefficients of C. Lanczos' approximation for g = 7, n = 9; the error is below 1e-14. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** The natural logarithm of Γ(x), x > 0 (C. Lanczos, A precision approximation of the gamma function, 1964). */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const base = shifted + 7.5;
  const sum = LANCZOS.reduce((total, coefficient, index) => (index === 0 ? coefficient : total + coefficient / (shifted + index)), 0);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(sum);
}

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);

/** The logarithm of M(p). */
function logMixture({ count, total }: Tally, p: number): number {
  const others = total - count;
  const likelihood = (count === 0 ? 0 : count * Math.log(p)) + (others === 0 ? 0 : others * Math.log1p(-p));
  return logBeta(0.5 + count, 0.5 + others) - logBeta(0.5, 0.5) - likelihood;
}

/** Halvings of an interval; what is left is far below what matters of a share. */
const HALVINGS = 40;

/** Where M(p) crosses 1/α between a share inside of the set and one outside of it. */
function crossing(tally: Tally, inside: number, outside: number, limit: number): number {
  let [near, far] = [inside, outside];
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    const middle = (near + far) / 2;
    if (logMixture(tally, middle) < limit) near = middle;
    else far = middle;
  }
  return far;
}

/** Shares that the true one lies among, at every moment at once, but for the probability `errorRate`. */
export function confidenceInterval(tally: Tally, errorRate: number): Interval {
  const { count, total } = tally;
  if (total === 0) return { low: 0, high: 1 };
  const limit = -Math.log(errorRate);
  // M is smallest at the share that was seen, and grows towards both ends.
  const seen = count / total;
  return {
    low: count === 0 ? 0 : crossing(tally, seen, 0, limit),
    high: count === total ? 1 : crossing(tally, seen, 1, limit),
  };
}

/** By how much the share of the candidate is above that of the baseline; each of the two may err half as often. */
export function differenceInterval(candidate: Tally, baseline: Tally, errorRate: number): Interval {
  const [one, other] = [confidenceInterval(candidate, errorRate / 2), confidenceInterval(baseline, errorRate / 2)];
  return { low: one.low - other.high, high: one.high - other.low };
}

/** What is known of something that is to stay below a bound. */
export type Finding = 'within' | 'beyond' | 'open';

export function findingOf({ low, high }: Interval, bound: number): Finding {
  if (high <= bound) return 'within';
  return low > bound ? 'beyond' : 'open';
}
