import type { Range } from './scales.ts';

/** How ranges come out of the values that calibration saw. */
export type CalibrationMethod = 'minmax' | 'percentile' | 'entropy';

/** Counts of values in bins of equal width between the lowest and the highest one. */
export interface Histogram extends Range {
  readonly counts: Float64Array;
}

const BINS = 2048;

export function createHistogram({ min, max }: Range): Histogram {
  return { min, max, counts: new Float64Array(BINS) };
}

export function countValues({ min, max, counts }: Histogram, values: Float32Array): void {
  const factor = max > min ? counts.length / (max - min) : 0;
  for (let index = 0; index < values.length; index += 1) {
    const bin = Math.floor((values[index]! - min) * factor);
    counts[Math.min(counts.length - 1, Math.max(0, bin))]! += 1;
  }
}

/** Cuts off so many of the values at each end that `percentile` percent of all are left. */
export function percentileRange({ min, max, counts }: Histogram, percentile: number): Range {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const cut = (total * (1 - percentile / 100)) / 2;
  const width = (max - min) / counts.length;
  let [low, below] = [0, counts[0]!];
  while (below <= cut && low < counts.length - 1) {
    low += 1;
    below += counts[low]!;
  }
  let [high, above] = [counts.length - 1, counts.at(-1)!];
  while (above <= cut && high > low) {
    high -= 1;
    above += counts[high]!;
  }
  return { min: min + low * width, max: min + (high + 1) * width };
}

/** What is lost when the distribution p is taken for q: Kullback–Leibler divergence, bins that p does not have left out. */
function divergence(p: Float64Array, q: Float64Array): number {
  const [sumP, sumQ] = [p.reduce((sum, each) => sum + each, 0), q.reduce((sum, each) => sum + each, 0)];
  let total = 0;
  for (let index = 0; index < p.length; index += 1) {
    const [share, other] = [p[index]! / sumP, q[index]! / sumQ];
    if (share === 0) continue;
    if (other === 0) return Number.POSITIVE_INFINITY;
    total += share * Math.log(share / other);
  }
  return total;
}

/** The first `bins` of a distribution told apart at `levels` levels only, spread over the bins that are not empty. */
function coarse(counts: Float64Array, bins: number, levels: number): Float64Array {
  const result = new Float64Array(bins);
  for (let level = 0; level < levels; level += 1) {
    const [from, to] = [Math.floor((level * bins) / levels), Math.floor(((level + 1) * bins) / levels)];
    let [sum, filled] = [0, 0];
    for (let bin = from; bin < to; bin += 1) {
      sum += counts[bin]!;
      if (counts[bin]! > 0) filled += 1;
    }
    for (let bin = from; bin < to; bin += 1) if (counts[bin]! > 0) result[bin] = sum / filled;
  }
  return result;
}

/** What is far out is rare but may be what the model looks at. */
const LEAST_COVERED = 0.999;

/**
 * The range whose quantized values tell most of the distribution: S. Migacz, 8-bit Inference with TensorRT, 2017. For
 * values of both signs thresholds are tried on their sizes, and half of the levels are for each sign. At most one value in a thousand is cut off.
 */
export function entropyRange({ min, max, counts }: Histogram): Range {
  const largest = Math.max(Math.abs(min), Math.abs(max));
  const width = (max - min) / counts.length;
  if (!(width > 0)) return { min, max };
  const sizes = new Float64Array(counts.length);
  for (let bin = 0; bin < counts.length; bin += 1) {
    const size = Math.abs(min + (bin + 0.5) * width);
    sizes[Math.min(sizes.length - 1, Math.floor((size / largest) * sizes.length))]! += counts[bin]!;
  }
  // Exact zeros, of paddings and ReLU, are told by any scale; left in, they would hide what becomes of the others.
  sizes[0] = sizes[1]!;
  const levels = min >= 0 || max <= 0 ? 256 : 128;
  let best = { threshold: largest, loss: Number.POSITIVE_INFINITY };
  const total = sizes.reduce((sum, count) => sum + count, 0);
  let [first, covered] = [0, 0];
  while (covered < total * LEAST_COVERED) {
    covered += sizes[first]!;
    first += 1;
  }
  for (let bins = Math.max(levels, first); bins <= sizes.length; bins += 8) {
    // What is beyond the threshold becomes the threshold.
    const clipped = sizes.slice(0, bins);
    for (let bin = bins; bin < sizes.length; bin += 1) clipped[bins - 1]! += sizes[bin]!;
    const loss = divergence(clipped, coarse(sizes, bins, levels));
    if (loss < best.loss) best = { threshold: (bins / sizes.length) * largest, loss };
  }
  return { min: Math.max(min, -best.threshold), max: Math.min(max, best.threshold) };
}
