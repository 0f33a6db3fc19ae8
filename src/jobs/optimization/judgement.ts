import type { Merits } from '../../optimization/gate/pareto.ts';
import { accuracyRefusal, type Limits, refusals } from '../../optimization/gate/verdict.ts';
import type { ModelMeasurement, ResolvedOptimizeSpec, VariantMeasurement } from './result.ts';

/** What the gate says of a variant. */
export interface Judgement {
  /** Why it is turned down; empty when it is not. */
  readonly reasons: readonly string[];
  /** Whether its accuracy is good enough to try more with it. */
  readonly isGoodEnough: boolean;
}

/** How much faster a variant is: the geometric mean over the sizes of batches. */
export function speedupOf({ latencies }: VariantMeasurement): number {
  return Math.exp(latencies.reduce((sum, { speedup }) => sum + Math.log(speedup), 0) / latencies.length);
}

export function meritsOf(measurement: VariantMeasurement): Merits {
  return { sizeBytes: measurement.sizeBytes, accuracy: measurement.accuracy, speedup: speedupOf(measurement) };
}

export function judge(measurement: VariantMeasurement, parent: ModelMeasurement, { limits }: ResolvedOptimizeSpec): Judgement {
  const bounds: Limits = { ...limits, latencyMs: limits.latencyMs, sizeBytes: limits.sizeBytes };
  const accuracy = { ...measurement.comparison, accuracy: measurement.accuracy };
  const compared = { parentSizeBytes: parent.sizeBytes, parentCompressedBytes: parent.compressedBytes };
  return {
    reasons: refusals({ ...measurement, ...compared, accuracy }, bounds),
    isGoodEnough: accuracyRefusal({ accuracy }, bounds) === undefined,
  };
}
