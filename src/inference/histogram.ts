/** Buckets of an octave: each is 9 % wide, so a percentile is that exact. */
const PER_OCTAVE = 8;
/** From 1 µs to 268 s. */
const OCTAVES = 28;

/** Counts durations by their length. An observation costs a logarithm and an addition; memory is 1.8 kB. */
export interface Histogram {
  readonly count: number;
  readonly sumMs: number;
  observe(ms: number): void;
  /** The q-quantile (0–1) in milliseconds, as the upper end of its bucket; undefined when nothing was counted. */
  quantileMs(q: number): number | undefined;
  /** How many took at most so many microseconds, for each power of two from `firstExponent`, cumulative as Prometheus counts. */
  octaves(firstExponent: number, lastExponent: number): readonly { readonly leSeconds: number; readonly count: number }[];
}

export function createHistogram(): Histogram {
  const buckets = new Float64Array(PER_OCTAVE * OCTAVES + 1);
  let count = 0;
  let sumMs = 0;

  return {
    get count() {
      return count;
    },
    get sumMs() {
      return sumMs;
    },
    observe(ms) {
      // Bucket i ends at 2^(i / PER_OCTAVE) µs, its end included.
      const index = ms <= 0.001 ? 0 : Math.min(PER_OCTAVE * OCTAVES, Math.ceil(Math.log2(ms * 1_000) * PER_OCTAVE));
      buckets[index]! += 1;
      count += 1;
      sumMs += Math.max(0, ms);
    },
    quantileMs(q) {
      if (count === 0) return undefined;
      const rank = Math.max(1, Math.ceil(q * count));
      let seen = 0;
      const index = buckets.findIndex((bucket) => (seen += bucket) >= rank);
      return 2 ** (index / PER_OCTAVE) / 1_000;
    },
    octaves(firstExponent, lastExponent) {
      const found: { leSeconds: number; count: number }[] = [];
      let cumulative = 0;
      let next = 0;
      for (let exponent = firstExponent; exponent <= lastExponent; exponent += 1) {
        for (; next <= exponent * PER_OCTAVE; next += 1) cumulative += buckets[next]!;
        found.push({ leSeconds: 2 ** exponent / 1e6, count: cumulative });
      }
      return found;
    },
  };
}
