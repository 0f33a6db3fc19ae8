/** Numbers as places in a short list. */
export interface Clusters {
  /** Ascending. */
  readonly centroids: Float32Array<ArrayBuffer>;
  /** For each number the place of its centroid. */
  readonly places: Uint16Array<ArrayBuffer>;
}

const MOST_ROUNDS = 100;

/** Where the first of ascending numbers is that is not below `bound`. */
function lowerBound(ascending: ArrayLike<number>, bound: number, from: number): number {
  let [low, high] = [from, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where each cluster of ascending numbers begins: in the middle between two centroids. Ends with the count of numbers. */
function boundsBetween(ascending: Float32Array, centroids: ArrayLike<number>): number[] {
  const bounds = [0];
  for (let at = 1; at < centroids.length; at += 1) {
    bounds.push(lowerBound(ascending, (centroids[at - 1]! + centroids[at]!) / 2, bounds.at(-1)!));
  }
  bounds.push(ascending.length);
  return bounds;
}

/**
 * k-means of numbers (S. Lloyd, Least Squares Quantization in PCM, 1982), begun with centroids at equal distances, which
 * leave large weights, the ones that count, a centroid near them. Where there are zeros, one centroid is 0 and stays it.
 * @param count of centroids at most; fewer come out where there are fewer different numbers
 */
export function clusterValues(values: Float32Array, count: number): Clusters {
  const ascending = values.toSorted();
  const sums = new Float64Array(ascending.length + 1);
  for (let at = 0; at < ascending.length; at += 1) sums[at + 1] = sums[at]! + ascending[at]!;
  const [low, high] = [ascending[0] ?? 0, ascending.at(-1) ?? 0];
  const step = count > 1 ? (high - low) / (count - 1) : 0;
  let centroids = Float64Array.from({ length: count }, (_value, at) => low + at * step);
  const hasZeros = values.includes(0);
  const pinned = hasZeros ? centroids.reduce((best, value, at) => (Math.abs(value) < Math.abs(centroids[best]!) ? at : best), 0) : -1;
  if (hasZeros) centroids[pinned] = 0;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const bounds = boundsBetween(ascending, centroids);
    const moved = centroids.map((centroid, at) => {
      const [from, to] = [bounds[at]!, bounds[at + 1]!];
      return at === pinned || to === from ? centroid : (sums[to]! - sums[from]!) / (to - from);
    });
    const isSettled = moved.every((value, at) => value === centroids[at]);
    centroids = moved;
    if (isSettled) break;
  }
  const rounded = Float32Array.from(new Set(Float32Array.from(centroids))).toSorted();
  const middles = Float64Array.from({ length: rounded.length - 1 }, (_value, at) => (rounded[at]! + rounded[at + 1]!) / 2);
  const places = Uint16Array.from(values, (value) => lowerBound(middles, value, 0));
  return { centroids: rounded, places };
}
