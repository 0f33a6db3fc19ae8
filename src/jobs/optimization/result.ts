import type { BatchLatency } from '../../optimization/gate/verdict.ts';
import type { PairedAccuracy } from '../../optimization/gate/paired-accuracy.ts';
import type { ReadBounds } from '../../optimization/onnx-model/read-budget.ts';
import type { IngestLimits } from '../../datasets/ingest/ingest.ts';
import type { PublishedVersion } from '../publish.ts';
import type { OptimizeSpec } from './spec.ts';
import type { Technique } from './techniques.ts';

/** What an optimization job is asked for once every choice is made. */
export interface ResolvedOptimizeSpec extends OptimizeSpec {
  readonly version: number;
}

/** What the processes of an optimization job are told; plain data. */
export interface OptimizeRequest {
  readonly spec: ResolvedOptimizeSpec;
  /** A copy of the version, in the job's own folder. */
  readonly parentFolder: string;
  /** The dataset; undefined when the version's own evaluation set is taken. */
  readonly dataset: { readonly folder: string; readonly target: string } | undefined;
  /** What to fine-tune on, in place of the training rows of the dataset. */
  readonly fineTuning: { readonly folder: string; readonly target: string } | undefined;
  /** The job's own folder: what one process has made is there for the next. */
  readonly folder: string;
  /** For reading the version's own evaluation set. */
  readonly ingestLimits: IngestLimits;
  /** As the settings `limits.maxGraphBytes` and `limits.maxGraphParts`. */
  readonly bounds: ReadBounds;
  /** As the setting `compiler.enabled`: TF.js layers models are served compiled. */
  readonly compiles: boolean;
  /** As the setting `runners.threads`: so many threads a model is served with. */
  readonly threads: number;
  /** As the setting `jobs.threads`, for fine-tuning. */
  readonly trainingThreads: number;
}

/** What the process that tries a variant is told. */
export interface TryRequest extends OptimizeRequest {
  /** What the techniques are done to: the parent, or a variant that was made before. */
  readonly baseFolder: string;
  readonly techniques: readonly Technique[];
  /** Absolute path of the variant; what lies there is replaced. */
  readonly target: string;
}

/** What a technique did to one layer. */
export interface LayerReport {
  readonly layer: string;
  /** Channels or weights before and after. */
  readonly before: number;
  readonly after: number;
  /** By how much the accuracy on the calibration rows drops when this layer alone is treated so, without fine-tuning. */
  readonly sensitivity?: number;
}

/** What techniques have done. */
export interface Made {
  /** Of each technique, in words. */
  readonly notes: readonly string[];
  /** Of techniques that treat layers by themselves. */
  readonly layers: readonly LayerReport[];
}

export interface TryResult extends Made {
  readonly measurement: VariantMeasurement;
}

/** What was measured of a model by itself. */
export interface ModelMeasurement {
  /** What answers: engine and backend. */
  readonly engine: string;
  /** Of the model's files. */
  readonly sizeBytes: number;
  /** Of the same files, each compressed as in a `.slip.zst`. */
  readonly compressedBytes: number;
  /** For one example; undefined where it is not counted, as for models that are not TF.js layers models. */
  readonly multiplications: number | undefined;
  /** Share of the rows whose class is right. */
  readonly accuracy: number;
}

export interface ParentMeasurement extends ModelMeasurement {
  /** Median times of one run by the size of the batch, in milliseconds. */
  readonly latencies: readonly { readonly batch: number; readonly ms: number }[];
}

/** What comes of the process that measures the parent. */
export interface ParentResult {
  readonly data: DataReport;
  readonly parent: ParentMeasurement;
}

/** What was measured of a variant beside its parent. */
export interface VariantMeasurement extends ModelMeasurement {
  /** Bytes of the parent divided by those of the variant. */
  readonly sizeRatio: number;
  readonly latencies: readonly BatchLatency[];
  readonly comparison: Omit<PairedAccuracy, 'accuracy'>;
}

/**
 * `published` and `accepted` keep to the limits; `refused` do not; `inapplicable` cannot be made of this model; `failed`
 * could not be made or run.
 */
export const VERDICTS = ['published', 'accepted', 'refused', 'inapplicable', 'failed'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface VariantRow extends Made {
  readonly techniques: readonly Technique[];
  readonly verdict: Verdict;
  /** Why it was turned down; empty when it was not. */
  readonly reasons: readonly string[];
  /** Undefined when it could not be measured. */
  readonly measurement: VariantMeasurement | undefined;
  /** Whether nothing that was measured is at least as good in everything and better in something. */
  readonly onFront: boolean;
}

/** Which rows are for what. */
export interface DataReport {
  readonly source: string;
  readonly digest: string;
  readonly target: string;
  readonly rows: { readonly evaluation: number; readonly calibration: number; readonly fineTuning: number };
  readonly seed: number;
  /** How the rows were told apart, in words. */
  readonly split: string;
}

/** What comes of it; plain data. */
export interface OptimizeResult {
  readonly data: DataReport;
  readonly parent: ParentMeasurement & PublishedVersion & { readonly onFront: boolean };
  readonly variants: readonly VariantRow[];
  /** Combinations that the budget left no room for. */
  readonly untried: readonly (readonly Technique[])[];
  readonly published: PublishedVersion | undefined;
}
