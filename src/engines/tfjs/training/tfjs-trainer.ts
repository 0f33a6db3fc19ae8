import * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { CreateTrainer, LayerConfig, StepResult, Trainer, TrainerSpec, TrainingBatch, Values } from '../../training/trainer.ts';
import { clipGradients, createUpdateRule, type Slots } from '../../training/update-rules.ts';
import { joined, type MicroBatch, microBatchesOf } from '../../training/micro-batches.ts';
import { layersModelFiles } from '../../training/model-files.ts';
import { slotState, weightState } from '../../training/state-names.ts';
import { lossOf } from './losses.ts';
import { numbersOf, openModel, type TrainingBackend } from './open-model.ts';
import { penaltiesOf, prepareForTraining } from './training-layers.ts';

/** An array of weights, and its numbers here: they are changed here, so that nothing of them is ever read back. */
interface Weight {
  readonly name: string;
  readonly variable: tf.Variable;
  numbers: Float32Array;
  /** What the variable held when its numbers were read. */
  dataId: object;
}

/** One that is trained, with its optimizer's memory. */
interface Parameter extends Weight {
  readonly slots: Slots;
}

/** The layers with the last softmax left out: cross-entropy is computed from the scores before it. */
function withoutSoftmax(layers: readonly LayerConfig[]): readonly LayerConfig[] {
  const last = layers.at(-1)!;
  return [...layers.slice(0, -1), { ...last, config: { ...last.config, activation: 'linear' } }];
}

/** Layers whose gradients WebAssembly has no kernels for, and none are registered. */
const NOT_ON_WASM: ReadonlySet<string> = new Set(['DepthwiseConv2D', 'SeparableConv2D']);

/** @throws SlipwayError INVALID_ARCHITECTURE naming the layer */
function checkTrainedBy(engine: string, layers: readonly LayerConfig[]): void {
  const layer = engine === 'tfjs wasm' ? layers.find(({ class_name: kind }) => NOT_ON_WASM.has(kind)) : undefined;
  if (layer === undefined) return;
  const which = `The layer "${String(layer.config['name'])}" (${layer.class_name})`;
  throw new SlipwayError('INVALID_ARCHITECTURE', `${which} has no gradient in tfjs on WebAssembly; the engine onnx trains it.`);
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let at = 0; at < sum.length; at += 1) sum[at] = sum[at]! + values[at]!;
}

function toTensor({ shape, data }: Values): tf.Tensor {
  return tf.tensor(data, [...shape], data instanceof Int32Array ? 'int32' : 'float32');
}

async function createTrainer(spec: TrainerSpec, backend: TrainingBackend): Promise<Trainer> {
  const isClassifier = spec.loss === 'cross-entropy';
  const layers = isClassifier ? withoutSoftmax(spec.layers) : spec.layers;
  const { engine, activate, model, weights: named } = await openModel(layers, spec.frozen, backend);
  try {
    checkTrainedBy(engine, layers);
  } catch (error) {
    model.dispose();
    throw error;
  }
  const rule = createUpdateRule(spec.optimizer);
  const parameters: Parameter[] = [];
  /** Those that are frozen, and those that layers change themselves, such as means over batches. */
  const others: Weight[] = [];
  /** In the order of the layers. */
  const all: Weight[] = [];
  for (const { name, variable, trained } of named) {
    const weight: Weight = { name, variable, numbers: await numbersOf(variable), dataId: variable.dataId };
    const parameter: Parameter | undefined = trained ? Object.assign(weight, { slots: rule.createSlots(variable.size) }) : undefined;
    if (parameter === undefined) others.push(weight);
    else parameters.push(parameter);
    all.push(weight);
  }
  const variables = parameters.map(({ variable }) => variable);
  const drawFor = prepareForTraining(model, spec.seed);

  function assign(weight: Weight): void {
    const { variable, numbers } = weight;
    tf.tidy(() => variable.assign(tf.tensor(numbers, variable.shape, 'float32')));
    weight.dataId = variable.dataId;
  }

  /** A layer that changes its weights gives the variable other data. */
  async function readChanged(): Promise<void> {
    for (const weight of others) {
      if (weight.dataId === weight.variable.dataId) continue;
      weight.dataId = weight.variable.dataId;
      weight.numbers = await numbersOf(weight.variable);
    }
  }

  function outputsOf(scores: tf.Tensor): tf.Tensor {
    return isClassifier ? tf.softmax(scores) : scores;
  }

  /** Their numbers, all asked for before any is waited for; the tensors are given up. */
  async function taken(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
    try {
      return await Promise.all(tensors.map(numbersOf));
    } finally {
      tf.dispose([...tensors]);
    }
  }

  function forward(batch: TrainingBatch, training: boolean): { scores: tf.Tensor; loss: tf.Scalar } {
    const scores = model.apply(toTensor(batch.inputs), { training }) as tf.Tensor;
    const loss = tf.addN([lossOf(spec, scores, batch), ...penaltiesOf(model)]) as tf.Scalar;
    return { scores, loss };
  }

  /** Loss, outputs and gradients of a part of a batch, its loss being the share of the batch's mean that it is. */
  async function partOf({ batch, share }: MicroBatch): Promise<{
    readonly loss: number;
    readonly outputs: Float32Array;
    readonly gradients: Float32Array[];
  }> {
    const tensors = tf.tidy(() => {
      let scores: tf.Tensor | undefined;
      const { value, grads } = tf.variableGrads(() => {
        const result = forward(batch, true);
        scores = tf.keep(result.scores);
        return share === 1 ? result.loss : tf.mul(result.loss, share);
      }, variables);
      const outputs = outputsOf(scores!);
      if (outputs !== scores) scores!.dispose();
      return [value, outputs, ...variables.map((variable) => grads[variable.name]!)];
    });
    const [loss, outputs, ...gradients] = await taken(tensors);
    return { loss: loss![0]!, outputs: outputs!, gradients };
  }

  async function step(batch: TrainingBatch, { learningRate, step: number }: { learningRate: number; step: number }): Promise<StepResult> {
    let loss = 0;
    const outputs: Float32Array[] = [];
    let gradients: Float32Array[] | undefined;
    await activate();
    for (const part of microBatchesOf(batch, spec.microBatches ?? 1)) {
      drawFor(number, part);
      const found = await partOf(part);
      loss += found.loss;
      outputs.push(found.outputs);
      if (gradients === undefined) gradients = found.gradients;
      else for (const [index, sum] of gradients.entries()) addTo(sum, found.gradients[index]!);
    }
    clipGradients(gradients!, spec.clipping);
    for (const [index, parameter] of parameters.entries()) {
      rule.update(parameter.numbers, gradients![index]!, parameter.slots, learningRate, number);
      assign(parameter);
    }
    await readChanged();
    return { loss, outputs: joined(outputs) };
  }

  return {
    engine,
    parameterCount: variables.reduce((sum, { size }) => sum + size, 0),
    step,
    async evaluate(batch) {
      await activate();
      const tensors = tf.tidy(() => {
        const { scores, loss } = forward(batch, false);
        return [loss, outputsOf(scores)];
      });
      const [loss, outputs] = await taken(tensors);
      return { loss: loss![0]!, outputs: outputs! };
    },
    state() {
      const state = new Map<string, Values>();
      for (const { name, variable, numbers } of all) state.set(weightState(name), { shape: [...variable.shape], data: numbers.slice() });
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) state.set(slotState(slot, name), { shape: [data.length], data: data.slice() });
      }
      return state;
    },
    restore(state) {
      for (const weight of all) {
        const { name, variable } = weight;
        const values = state.get(weightState(name));
        if (values === undefined || values.data.length !== variable.size)
          throw new SlipwayError('INVALID_MODEL', `The state has no weights "${name}" of the shape [${variable.shape.join(', ')}].`);
        weight.numbers = Float32Array.from(values.data);
        assign(weight);
      }
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) {
          const values = state.get(slotState(slot, name));
          if (values !== undefined) data.set(values.data);
        }
      }
    },
    modelFiles: (layers) =>
      layersModelFiles(layers, new Map(all.map(({ name, variable, numbers }) => [name, { shape: [...variable.shape], data: numbers }]))),
    async dispose() {
      model.dispose();
    },
  };
}

/**
 * Trains a layers model with TensorFlow.js, one op after the other; the update rules are Slipway's own.
 * @param backend by default the fastest one that trains here.
 */
export function tfjsTrainer(backend: TrainingBackend = {}): CreateTrainer {
  return (spec) => createTrainer(spec, backend);
}
