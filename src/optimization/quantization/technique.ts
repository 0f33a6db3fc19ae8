import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import type { ReadBounds } from '../onnx-model/read-budget.ts';

/** A model that can be run; who opens it knows the engine. */
export interface OpenedModel {
  readonly signature: Signature;
  run(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  dispose(): Promise<void>;
}

/** What every technique for ONNX models gets. */
export interface TechniqueInput {
  /** Absolute path of a version folder with a `model.onnx`. It is only read. */
  readonly folder: string;
  /** Absolute path of an empty folder for the new model. */
  readonly target: string;
  /** How much of a graph is read; as `readOnnxModel` by default. */
  readonly bounds?: Partial<ReadBounds>;
}

/** What a technique gets that has to see the values inside of a model. */
export interface CalibratedInput extends TechniqueInput {
  /**
   * Inputs as the model will get them, each a batch; some hundred examples in all. Not those that the result is judged by.
   */
  readonly calibration: readonly NamedTensors[];
  /** Opens the `model.onnx` of a folder, to see values inside of it. */
  readonly open: (folder: string) => Promise<OpenedModel>;
}

/** What a technique did. */
export interface TechniqueReport {
  /** Names of the new files in the target folder. */
  readonly files: readonly string[];
  /** Nodes that now compute with, or hold, the smaller type, by operator. */
  readonly changed: Readonly<Record<string, number>>;
  /** Nodes with weights that stayed as they were, in words: which operator, how often, why. */
  readonly unchanged: readonly string[];
  /** Bytes of the weights before and after. */
  readonly weightBytes: { readonly before: number; readonly after: number };
}

export function inapplicable(problem: string): SlipwayError {
  return new SlipwayError('TECHNIQUE_INAPPLICABLE', problem);
}
