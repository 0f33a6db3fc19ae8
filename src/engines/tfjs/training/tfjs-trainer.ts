import * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { CreateTrainer, LayerConfig, StepResult, Trainer, TrainerSpec, TrainingBatch, Values } from '../../training/trainer.ts';
import { clipGradients, createUpdateRule, type Slots } from '../../training/update-rules.ts';
import { joined, type MicroBatch, microBatchesOf } from '../../training/micro-batches.ts';
import { layersModelFiles } from '../../training/model-files.ts';
import { slotState, weightState } from '../../training/state-names.ts';
import { lossOf } from './losses.ts';
import { openModel, type TrainingBackend, valuesOf } from './open-model.ts';
import { penaltiesOf, prepareForTraining } from './training-layers.ts';

/** An array of weights that is trained, with its optimizer's memory. */
interface Parameter {
  readonly name: string;
  readonly variable: tf.Variable;
  readonly slots: Slots;
}

/** The layers with the last softmax left out: cross-entropy is computed from the scores before it. */
function withoutSoftmax(layers: readonly LayerConfig[]): readonly LayerConfig[] {
  const last = layers.at(-1)!;
  return [...layers.slice(0, -1), { ...last, config: { ...last.config, activation: 'linear' } }];
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
  const { engine, model, weights: named } = await openModel(layers, spec.frozen, backend);
  const rule = createUpdateRule(spec.optimizer);
  const parameters: Parameter[] = named
    .filter(({ trained }) => trained)
    .map(({ name, variable }) => ({ name, variable, slots: rule.createSlots(variable.size) }));
  const variables = parameters.map(({ variable }) => variable);
  const drawFor = prepareForTraining(model, spec.seed);

  function outputsOf(scores: tf.Tensor): Float32Array {
    return (isClassifier ? tf.softmax(scores) : scores).dataSync<'float32'>().slice();
  }

  function forward({ inputs, target }: TrainingBatch, training: boolean): { scores: tf.Tensor; loss: tf.Scalar } {
    const scores = model.apply(toTensor(inputs), { training }) as tf.Tensor;
    const loss = tf.addN([lossOf(spec.loss, scores, target, spec.classWeights), ...penaltiesOf(model)]) as tf.Scalar;
    return { scores, loss };
  }

  /** Loss, outputs and gradients of a part of a batch, its loss being the share of the batch's mean that it is. */
  function partOf({ batch, share }: MicroBatch): {
    readonly loss: number;
    readonly outputs: Float32Array;
    readonly gradients: Float32Array[];
  } {
    return tf.tidy(() => {
      let scores: tf.Tensor | undefined;
      const { value, grads } = tf.variableGrads(() => {
        const result = forward(batch, true);
        scores = tf.keep(result.scores);
        return share === 1 ? result.loss : tf.mul(result.loss, share);
      }, variables);
      const outputs = outputsOf(scores!);
      scores!.dispose();
      const gradients = variables.map((variable) => grads[variable.name]!.dataSync<'float32'>());
      return { loss: value.dataSync()[0]!, outputs, gradients };
    });
  }

  async function step(batch: TrainingBatch, { learningRate, step: number }: { learningRate: number; step: number }): Promise<StepResult> {
    let loss = 0;
    const outputs: Float32Array[] = [];
    let gradients: Float32Array[] | undefined;
    for (const part of microBatchesOf(batch, spec.microBatches ?? 1)) {
      drawFor(number, part);
      const found = partOf(part);
      loss += found.loss;
      outputs.push(found.outputs);
      if (gradients === undefined) gradients = found.gradients;
      else for (const [index, sum] of gradients.entries()) addTo(sum, found.gradients[index]!);
    }
    clipGradients(gradients!, spec.clipping);
    tf.tidy(() => {
      for (const [index, { variable, slots }] of parameters.entries()) {
        const weights = variable.dataSync<'float32'>();
        rule.update(weights, gradients![index]!, slots, learningRate, number);
        variable.assign(tf.tensor(weights, variable.shape));
      }
    });
    return { loss, outputs: joined(outputs) };
  }

  return {
    engine,
    parameterCount: variables.reduce((sum, { size }) => sum + size, 0),
    step,
    evaluate: async (batch) =>
      tf.tidy(() => {
        const { scores, loss } = forward(batch, false);
        return { loss: loss.dataSync()[0]!, outputs: outputsOf(scores) };
      }),
    state() {
      const state = new Map<string, Values>();
      for (const { name, variable } of named) state.set(weightState(name), valuesOf(variable));
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) state.set(slotState(slot, name), { shape: [data.length], data: data.slice() });
      }
      return state;
    },
    restore(state) {
      for (const { name, variable } of named) {
        const values = state.get(weightState(name));
        if (values === undefined || values.data.length !== variable.size)
          throw new SlipwayError('INVALID_MODEL', `The state has no weights "${name}" of the shape [${variable.shape.join(', ')}].`);
        tf.tidy(() => variable.assign(tf.tensor(values.data, variable.shape, 'float32')));
      }
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) {
          const values = state.get(slotState(slot, name));
          if (values !== undefined) data.set(values.data);
        }
      }
    },
    modelFiles: (layers) => layersModelFiles(layers, new Map(named.map(({ name, variable }) => [name, valuesOf(variable)]))),
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
