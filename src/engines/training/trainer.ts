/*
 * What a training job knows of the engine that computes: plain arrays with shapes in and out. How a step is done (one op
 * after the other, or a whole step as one graph) is the engine's own.
 */

/** Numbers and their shape; row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** What a training job may ask for: `auto` is onnx for the models that compile to a graph and tfjs for the others. */
export const TRAINING_ENGINES = ['auto', 'onnx', 'tfjs'] as const;
export type TrainingEngine = (typeof TRAINING_ENGINES)[number];

/** What the engine tfjs can compute on when it trains. */
export const TRAINING_BACKENDS = ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const;

/** A layer as Keras writes it in `model.json`. */
export interface LayerConfig {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * `cross-entropy` takes class indexes [N], or of sequences [N, steps], and a model whose last activation is softmax; the others take values [N, width].
 * An index of −1 counts for nothing. Each is the mean over the examples (and, of the others, over their values too).
 */
export const LOSSES = ['cross-entropy', 'mean-squared-error', 'mean-absolute-error', 'huber'] as const;
export type LossName = (typeof LOSSES)[number];

/** An optimizer with every one of its numbers; see `update-rules.ts` for the formulas. The learning rate comes with each step. */
export type OptimizerSpec =
  | { readonly kind: 'sgd'; readonly momentum: number; readonly nesterov: boolean; readonly weightDecay: number }
  | { readonly kind: 'adagrad'; readonly initialAccumulator: number; readonly epsilon: number; readonly weightDecay: number }
  | { readonly kind: 'adadelta'; readonly rho: number; readonly epsilon: number; readonly weightDecay: number }
  | {
      readonly kind: 'rmsprop';
      readonly rho: number;
      readonly momentum: number;
      readonly centered: boolean;
      readonly epsilon: number;
      readonly weightDecay: number;
    }
  | AdamSpec<'adam'>
  | AdamSpec<'adamw'>
  | AdamSpec<'adamax'>;

export interface AdamSpec<Kind> {
  readonly kind: Kind;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** Gradients are cut to the range ±value, then scaled down so that their norm over all weights is at most `norm`. */
export interface Clipping {
  readonly value?: number | undefined;
  readonly norm?: number | undefined;
}

/**
 * A model is trained on what a teacher gives beside the right classes. Of an example the loss is
 * weight · T² · KL(p ‖ q) + (1 − weight) · cross-entropy, with the probabilities p of the teacher and q of the model, both at
 * the temperature T: softmax(scores ÷ T). T² makes up for gradients that shrink by it (G. Hinton, O. Vinyals and J. Dean,
 * Distilling the Knowledge in a Neural Network, 2015). Class weights weigh examples, in both parts.
 */
export interface Distillation {
  readonly temperature: number;
  readonly weight: number;
}

/** What is trained: plain data, the same for every engine. */
export interface TrainerSpec {
  /** A Keras Sequential model; the first layer is an InputLayer. Random layers and initializers have seeds. */
  readonly layers: readonly LayerConfig[];
  readonly loss: LossName;
  readonly optimizer: OptimizerSpec;
  readonly clipping: Clipping;
  /** The weight of each class in the loss; all 1 when left out. The mean is over the examples, not over the weights. */
  readonly classWeights?: readonly number[] | undefined;
  /** Of the loss cross-entropy; each batch of a step has `teacher` then. The loss of `evaluate` is cross-entropy alone. */
  readonly distillation?: Distillation | undefined;
  /** Names of layers whose weights stay as they are. */
  readonly frozen: readonly string[];
  readonly seed: number;
  /** Parts of a batch that are computed one after the other, in the memory of one; their gradients are added up. Default 1. */
  readonly microBatches?: number | undefined;
}

export interface TrainingBatch {
  readonly inputs: Values;
  readonly target: Values;
  /** The teacher's probabilities at the temperature, in the shape of the outputs; of steps with distillation. */
  readonly teacher?: Values | undefined;
}

export interface StepResult {
  /** Mean over the batch. */
  readonly loss: number;
  /** What the model gave: probabilities [N, classes] or [N, steps, classes], or values [N, width]. */
  readonly outputs: Float32Array;
}

/** Weights and the optimizer's memory by their names, in a fixed order. */
export type TrainerState = ReadonlyMap<string, Values>;

/** The files of a version folder that hold the trained model. */
export type ModelFiles = Readonly<Record<string, string | Uint8Array>>;

export interface Trainer {
  /** Which engine computes, e.g. `onnx cpu` or `tfjs wasm`. */
  readonly engine: string;
  /** Why it is not the engine that would be taken first; undefined when it is, or when it was asked for. */
  readonly engineReason?: string | undefined;
  /** How many numbers are trained. */
  readonly parameterCount: number;
  /** Changes the weights by one batch. @param step counts from 1 over the whole training; random layers draw by it. */
  step(batch: TrainingBatch, options: { readonly learningRate: number; readonly step: number }): Promise<StepResult>;
  /** Loss and outputs of a batch, as when the model is served; changes nothing. */
  evaluate(batch: TrainingBatch): Promise<StepResult>;
  /** A copy of weights and the optimizer's memory. */
  state(): TrainerState;
  /** Goes on from a state that `state` gave, in this process or another. The optimizer's memory may be left out. */
  restore(state: TrainerState): void;
  /** The model with its weights as they are now. @param layers those of the version: with the weights of the layers that are trained */
  modelFiles(layers: readonly LayerConfig[]): ModelFiles;
  dispose(): Promise<void>;
}

/** @throws SlipwayError INVALID_ARCHITECTURE when the layers cannot be put together. */
export type CreateTrainer = (spec: TrainerSpec) => Promise<Trainer>;
