/** Percentiles of the latest times of something. */
export interface Latencies {
  add(ms: number): void;
  /** Milliseconds; undefined before the first. Nearest rank. */
  percentiles(): { readonly count: number; readonly p50Ms: number; readonly p99Ms: number } | undefined;
}

/** How many are remembered. */
const SIZE = 1_000;

export function createLatencies(): Latencies {
  const ring = new Float64Array(SIZE);
  let added = 0;
  return {
    add(ms) {
      ring[added % SIZE] = ms;
      added += 1;
    },
    percentiles() {
      const count = Math.min(added, SIZE);
      if (count === 0) return undefined;
      const sorted = ring.subarray(0, count).toSorted();
      const at = (share: number): number => sorted[Math.ceil(share * count) - 1]!;
      return { count, p50Ms: at(0.5), p99Ms: at(0.99) };
    },
  };
}
