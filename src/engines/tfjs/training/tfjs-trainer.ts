import * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { CreateTrainer, LayerConfig, StepResult, Trainer, TrainerSpec, TrainingBatch, Values } from '../../training/trainer.ts';
import { clipGradients, createUpdateRule, type Slots } from '../../training/update-rules.ts';
import { activateBackend } from '../backend.ts';
import { MODEL_FILE } from '../../../packages/tfjs/model-file.ts';
import { addChainedOps } from './chained-ops.ts';
import { buildModel } from './build-model.ts';
import { registerFilterGradient } from './filter-gradient.ts';
import { registerInputGradient } from './input-gradient.ts';
import { lossOf } from './losses.ts';
import { registerSegmentSum } from './segment-sum.ts';

const WEIGHTS_FILE = 'weights.bin';
const WEIGHT = 'weight/';
const SLOT = 'optimizer/';

/** An array of weights that is trained, with its optimizer's memory. */
interface Parameter {
  readonly name: string;
  readonly variable: tf.Variable;
  readonly slots: Slots;
}

/** What a layer draws its random numbers by; tfjs would draw the same ones at each step. */
interface RandomLayer {
  seed: number;
}

async function startBackend(): Promise<string> {
  const problem = await activateBackend('wasm');
  if (problem === undefined) {
    registerFilterGradient();
    registerInputGradient();
    registerSegmentSum();
    return 'tfjs wasm';
  }
  const second = await activateBackend('cpu');
  if (second === undefined) return 'tfjs cpu';
  throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs has no backend here: ${problem}; ${second}.`);
}

/** The layers with the last softmax left out: cross-entropy is computed from the scores before it. */
function withoutSoftmax(layers: readonly LayerConfig[]): readonly LayerConfig[] {
  const last = layers.at(-1)!;
  return [...layers.slice(0, -1), { ...last, config: { ...last.config, activation: 'linear' } }];
}

function toTensor({ shape, data }: Values): tf.Tensor {
  return tf.tensor(data, [...shape], data instanceof Int32Array ? 'int32' : 'float32');
}

function valuesOf(tensor: tf.Tensor): Values {
  return { shape: [...tensor.shape], data: tensor.dataSync<'float32'>().slice() };
}

/** Trains a layers model with TensorFlow.js, one op after the other; the update rules are Slipway's own. */
export const createTfjsTrainer: CreateTrainer = async (spec: TrainerSpec): Promise<Trainer> => {
  const engine = await startBackend();
  addChainedOps();
  const isClassifier = spec.loss === 'cross-entropy';
  const model = await buildModel(isClassifier ? withoutSoftmax(spec.layers) : spec.layers, spec.frozen);
  const rule = createUpdateRule(spec.optimizer);
  const named = model.weights.map((weight) => ({ name: weight.originalName, variable: weight.read() as tf.Variable }));
  const trained = new Set(model.trainableWeights.map((weight) => weight.read()));
  const parameters: Parameter[] = named
    .filter(({ variable }) => trained.has(variable))
    .map(({ name, variable }) => ({ name, variable, slots: rule.createSlots(variable.size) }));
  const variables = parameters.map(({ variable }) => variable);
  const randomLayers = model.layers.filter((layer) => 'rate' in layer) as unknown as RandomLayer[];

  function outputsOf(scores: tf.Tensor): Float32Array {
    return (isClassifier ? tf.softmax(scores) : scores).dataSync<'float32'>().slice();
  }

  function forward({ inputs, target }: TrainingBatch, training: boolean): { scores: tf.Tensor; loss: tf.Scalar } {
    const scores = model.apply(toTensor(inputs), { training }) as tf.Tensor;
    return { scores, loss: lossOf(spec.loss, scores, target, spec.classWeights) };
  }

  function step(batch: TrainingBatch, { learningRate, step: number }: { learningRate: number; step: number }): StepResult {
    for (const [index, layer] of randomLayers.entries()) layer.seed = spec.seed * 1_000_003 + number * 101 + index;
    return tf.tidy(() => {
      let scores: tf.Tensor | undefined;
      const { value, grads } = tf.variableGrads(() => {
        const result = forward(batch, true);
        scores = tf.keep(result.scores);
        return result.loss;
      }, variables);
      const outputs = outputsOf(scores!);
      scores!.dispose();
      const gradients = variables.map((variable) => grads[variable.name]!.dataSync<'float32'>());
      clipGradients(gradients, spec.clipping);
      for (const [index, { variable, slots }] of parameters.entries()) {
        const weights = variable.dataSync<'float32'>();
        rule.update(weights, gradients[index]!, slots, learningRate, number);
        variable.assign(tf.tensor(weights, variable.shape));
      }
      return { loss: value.dataSync()[0]!, outputs };
    });
  }

  return {
    engine,
    parameterCount: variables.reduce((sum, { size }) => sum + size, 0),
    step,
    evaluate: (batch) =>
      tf.tidy(() => {
        const { scores, loss } = forward(batch, false);
        return { loss: loss.dataSync()[0]!, outputs: outputsOf(scores) };
      }),
    state() {
      const state = new Map<string, Values>();
      for (const { name, variable } of named) state.set(WEIGHT + name, valuesOf(variable));
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) state.set(`${SLOT}${slot}/${name}`, { shape: [data.length], data: data.slice() });
      }
      return state;
    },
    restore(state) {
      for (const { name, variable } of named) {
        const values = state.get(WEIGHT + name);
        if (values === undefined || values.data.length !== variable.size)
          throw new SlipwayError('INVALID_MODEL', `The state has no weights "${name}" of the shape [${variable.shape.join(', ')}].`);
        tf.tidy(() => variable.assign(tf.tensor(values.data, variable.shape, 'float32')));
      }
      for (const { name, slots } of parameters) {
        for (const [slot, data] of Object.entries(slots)) {
          const values = state.get(`${SLOT}${slot}/${name}`);
          if (values !== undefined) data.set(values.data);
        }
      }
    },
    modelFiles(behind) {
      const weights = named.map(({ name, variable }) => ({ name, shape: variable.shape, dtype: 'float32' }));
      const bytes = Buffer.concat(named.map(({ variable }) => Buffer.from(variable.dataSync<'float32'>().slice().buffer)));
      const json = {
        format: 'layers-model',
        generatedBy: 'slipway',
        modelTopology: { class_name: 'Sequential', config: { name: model.name, layers: [...spec.layers, ...behind] } },
        weightsManifest: [{ paths: [WEIGHTS_FILE], weights }],
      };
      return { [MODEL_FILE]: `${JSON.stringify(json)}\n`, [WEIGHTS_FILE]: bytes };
    },
    dispose() {
      model.dispose();
    },
  };
};
