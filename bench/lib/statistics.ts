/** The q-quantile (0–1) of ascending values, by the nearest rank. */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  if (ascending.length === 0) return Number.NaN;
  const rank = Math.min(ascending.length - 1, Math.max(0, Math.ceil(q * ascending.length) - 1));
  return ascending[rank]!;
}

export function median(values: Iterable<number>): number {
  return quantile(Float64Array.from(values).toSorted(), 0.5);
}
