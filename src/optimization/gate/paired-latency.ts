import { fairCoinPValue } from './binomial.ts';

/** Times of two models that took turns. */
export interface PairedLatency {
  /** Medians over the rounds, in milliseconds for one run. */
  readonly parentMs: number;
  readonly ms: number;
  /** Median over the rounds of the parent's time divided by the variant's: above 1 when the variant is faster. */
  readonly speedup: number;
  /** Sign test over the rounds: how likely one is ahead so often by chance when both are equally fast. */
  readonly pValue: number;
}

/** @param values at least one */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Compares two models round by round: what slows the machine down for a while slows both, so the ratio of a round says more
 * than two times that were measured one after the other.
 * @param rounds in milliseconds for one run
 */
export function comparePairedLatency(rounds: readonly { readonly parentMs: number; readonly ms: number }[]): PairedLatency {
  const ahead = rounds.filter(({ parentMs, ms }) => ms < parentMs).length;
  const behind = rounds.filter(({ parentMs, ms }) => ms > parentMs).length;
  return {
    parentMs: medianOf(rounds.map(({ parentMs }) => parentMs)),
    ms: medianOf(rounds.map(({ ms }) => ms)),
    speedup: medianOf(rounds.map(({ parentMs, ms }) => parentMs / ms)),
    pValue: fairCoinPValue(ahead, ahead + behind),
  };
}
