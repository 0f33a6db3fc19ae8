import type { Examples } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { ModelFormat } from '../../../packages/formats.ts';
import type { VersionManifest } from '../../../packages/manifest.ts';
import type { ReadBounds } from '../../../optimization/onnx-model/read-budget.ts';
import type { LayerReport } from '../../optimization/result.ts';
import type { OptimizeSpec } from '../../optimization/spec.ts';
import type { Technique } from '../../optimization/techniques.ts';
import type { Lessons } from '../../training/distillation/lessons.ts';
import type { ModelRows } from './model-rows.ts';

/** What a technique is given. */
export interface TechniqueSource {
  readonly folder: string;
  readonly format: ModelFormat;
  readonly manifest: VersionManifest;
}

/** How variants are trained further. */
export interface FineTuning extends Omit<OptimizeSpec['fineTuning'], 'dataset' | 'target'> {
  /** What the version that is optimized gives to a batch; of jobs that ask for it. */
  readonly lessons: Lessons | undefined;
  /** Training rows, and validation rows by which the best epoch is told where there are any. */
  readonly examples: Examples;
  readonly seed: number;
  readonly threads: number;
}

/** What techniques may use. */
export interface TechniqueMeans {
  /** How much of the graph of an ONNX file is read. */
  readonly bounds: ReadBounds;
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Undefined where no rows are for it, or no epochs are wanted. */
  readonly fineTuning: FineTuning | undefined;
  /** Rows to calibrate on; undefined where there are none. */
  readonly calibrationRows: (() => Promise<ModelRows>) | undefined;
  /** The size of batches that the model takes, when it takes no other. */
  readonly batch: number | undefined;
  /** The accuracy of a version folder on the calibration rows; undefined where there are none. */
  readonly calibrationAccuracy: ((folder: string) => Promise<number>) | undefined;
}

export interface TechniqueContext extends TechniqueMeans {
  /** A version folder that has all but the model: the files of the new one go there. */
  readonly target: string;
}

export interface Applied {
  /** What was done, in words; a sentence without its point. */
  readonly note: string;
  readonly layers?: readonly LayerReport[];
}

/**
 * Makes a variant of a model.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE and what else keeps the model from being read or made
 */
export type ApplyTechnique<T extends Technique = Technique> = (
  technique: T,
  source: TechniqueSource,
  context: TechniqueContext,
) => Promise<Applied>;

export function inapplicable(message: string): SlipwayError {
  return new SlipwayError('TECHNIQUE_INAPPLICABLE', message);
}
