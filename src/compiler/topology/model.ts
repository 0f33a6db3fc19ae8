import type { Config, Fields } from './config.ts';

/** One output of one call of a layer. */
export interface TensorReference {
  readonly layer: string;
  /** Which call of the layer; a shared layer has several. */
  readonly call: number;
  /** Which of the outputs of the call. */
  readonly output: number;
}

/** Where a layer is called, and on what. */
export interface LayerCallSite {
  readonly inputs: readonly TensorReference[];
  /** Inputs by keyword, as `value` of an attention. */
  readonly named: ReadonlyMap<string, TensorReference>;
  /** Keywords that are no tensors. */
  readonly keywords: Fields;
}

export interface LayerModel {
  readonly className: string;
  readonly name: string;
  readonly config: Config;
  readonly calls: readonly LayerCallSite[];
  /** The model that the layer is, for a nested one. */
  readonly model: Model | undefined;
}

export interface ModelInput {
  /** The name by which callers know it. */
  readonly name: string;
  readonly layer: string;
}

export interface ModelOutput {
  readonly name: string;
  readonly tensor: TensorReference;
}

/** A layers model, Sequential or Functional alike, as layers and the tensors between them. */
export interface Model {
  readonly name: string;
  /** By name, in the order of the file. */
  readonly layers: ReadonlyMap<string, LayerModel>;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
}

/** The class of layers that stand for inputs. */
export const INPUT_LAYER = 'InputLayer';
