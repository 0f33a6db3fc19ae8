import type { PairedAccuracy } from './paired-accuracy.ts';
import type { PairedLatency } from './paired-latency.ts';

/** What a variant must keep to. */
export interface Limits {
  /** Largest drop of the accuracy, as a share: 0.01 is one point. */
  readonly accuracyDrop: number;
  /** When given, the accuracy's drop must be within its limit with a probability of 95 %, not only as measured. */
  readonly sure: boolean;
  /** Longest time of one run with the smallest batch, of one example where the model takes that, in milliseconds. */
  readonly latencyMs: number | undefined;
  /** Most bytes of the model's files. */
  readonly sizeBytes: number | undefined;
  /** How many times the parent's time a run may take, beyond what chance explains. */
  readonly slowdown: number;
}

/** What was measured of a variant, beside its parent. */
export interface Measured {
  readonly parentSizeBytes: number;
  readonly sizeBytes: number;
  /** Of the same files, compressed. */
  readonly parentCompressedBytes: number;
  readonly compressedBytes: number;
  readonly accuracy: PairedAccuracy;
  /** Smallest batch first; at least one. */
  readonly latencies: readonly BatchLatency[];
}

/** Times of batches of one size. */
export interface BatchLatency extends PairedLatency {
  /** Examples in a run. */
  readonly batch: number;
}

/** A difference in time counts when chance gives it more rarely than this, and when it is larger than the tolerance. */
const SIGNIFICANT = 0.01;
/** What counts as faster, and as smaller: less is within what a file or a machine differs by anyway. */
const FASTER = 1.05;
const SMALLER = 0.99;

function points(share: number): string {
  return `${(share * 100).toFixed(2)} points`;
}

function times(factor: number): string {
  return factor.toFixed(2);
}

function isFaster({ speedup, pValue }: PairedLatency): boolean {
  return speedup >= FASTER && pValue < SIGNIFICANT;
}

/** Why the accuracy is not good enough; undefined when it is. */
export function accuracyRefusal({ accuracy }: Pick<Measured, 'accuracy'>, { accuracyDrop, sure }: Limits): string | undefined {
  const { accuracyDrop: drop, accuracyDropUpper95: upper, onlyParentRight, onlyVariantRight, pValue } = accuracy;
  const chance = `the parent alone is right on ${onlyParentRight} rows, the variant alone on ${onlyVariantRight}; p = ${pValue.toPrecision(2)}`;
  // Shares of rows are rounded; a drop of just the limit is within it.
  if (drop > accuracyDrop + 1e-12) return `worse: the accuracy drops by ${points(drop)}; ${points(accuracyDrop)} are allowed (${chance})`;
  if (sure && upper > accuracyDrop)
    return `not surely good enough: with a probability of 95 % the accuracy drops by less than ${points(upper)}; ${points(accuracyDrop)} are allowed (${chance}). More rows to measure on would tell`;
  return undefined;
}

/** Why a variant is turned down, each reason in words; empty when it is taken. */
export function refusals(measured: Measured, limits: Limits): string[] {
  const { sizeBytes, parentSizeBytes, compressedBytes, parentCompressedBytes, latencies } = measured;
  const reasons: string[] = [];
  const worse = accuracyRefusal(measured, limits);
  if (worse !== undefined) reasons.push(worse);
  for (const { batch, ms, parentMs, speedup, pValue } of latencies) {
    if (1 / speedup <= limits.slowdown || pValue >= SIGNIFICANT) continue;
    const both = `${ms.toPrecision(3)} ms and ${parentMs.toPrecision(3)} ms`;
    reasons.push(
      `slower: a batch of ${batch} takes ${times(1 / speedup)} times as long as by the parent (${both}); ${times(limits.slowdown)} is allowed`,
    );
  }
  const { ms, batch } = latencies[0]!;
  if (limits.latencyMs !== undefined && ms > limits.latencyMs)
    reasons.push(`too slow: a batch of ${batch} takes ${ms.toPrecision(3)} ms; ${limits.latencyMs} ms are allowed`);
  if (limits.sizeBytes !== undefined && sizeBytes > limits.sizeBytes)
    reasons.push(`too large: the files have ${sizeBytes} bytes; ${limits.sizeBytes} are allowed`);
  const isSmaller = sizeBytes <= SMALLER * parentSizeBytes || compressedBytes <= SMALLER * parentCompressedBytes;
  if (!isSmaller && !latencies.some(isFaster))
    reasons.push(
      `of no use: neither smaller than the parent (${sizeBytes} and ${parentSizeBytes} bytes, ${compressedBytes} and ${parentCompressedBytes} compressed) nor faster`,
    );
  return reasons;
}
