import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type CompiledWeight, compileTrainingStep, type TrainingOptions } from '../../src/compiler/compile-training.ts';
import { floats } from '../../src/compiler/graph/tensors.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { STEP } from '../../src/compiler/training/training-step.ts';
import { openTrainingSession, type TrainingSession } from '../../src/engines/onnx/training-session.ts';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';
import { type SavedModel, savedModel } from './compiled-model.ts';

export interface OpenTraining {
  readonly session: TrainingSession;
  /** Name of the model's first input. */
  readonly input: string;
  readonly weights: readonly CompiledWeight[];
}

/** The training step of a saved model as one graph in ONNX Runtime. */
export async function openSavedTraining({ topology, weights }: SavedModel, options: TrainingOptions): Promise<OpenTraining> {
  const { graph, evaluation, state, fixed, weights: compiled } = compileTrainingStep(topology, weights, options);
  const [model, measuring] = [graph, evaluation].map((each) => Buffer.concat(encodeOnnx(each).model));
  const session = await openTrainingSession({ model: model!, evaluation: measuring!, state, fixed, threads: 1 });
  return { session, input: graph.inputs[0]!.name, weights: compiled };
}

export async function openTraining(model: LayersModel, options: TrainingOptions): Promise<OpenTraining> {
  return openSavedTraining(await savedModel(model), options);
}

/** @param weights of the examples; the default is the mean. */
export function inputsOf(
  input: string,
  x: Tensor,
  target: Tensor,
  { rate, step, weights }: { rate: number; step: number; weights?: number[] },
): NamedTensors {
  const rows = x.shape[0]!;
  return new Map<string, Tensor>([
    [input, x],
    [STEP.target, target],
    [STEP.weights, floats([rows], weights ?? Array(rows).fill(1 / rows))],
    [STEP.rate, floats([], [rate])],
    [STEP.step, { dtype: 'FP64', shape: [], data: Float64Array.of(step) }],
  ]);
}

export const classes = (labels: ArrayLike<number>): Tensor => ({ dtype: 'INT32', shape: [labels.length], data: Int32Array.from(labels) });
