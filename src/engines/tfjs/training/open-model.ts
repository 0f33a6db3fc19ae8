import type { LayersModel } from '@tensorflow/tfjs-layers';
import type * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { LayerConfig, Values } from '../../training/trainer.ts';
import type { TfjsBackend } from '../../engine.ts';
import { activateBackend, type BackendOptions, isActive } from '../backend.ts';
import { buildModel } from './build-model.ts';
import { addChainedOps } from './chained-ops.ts';
import { registerFilterGradient } from './filter-gradient.ts';
import { registerInputGradient } from './input-gradient.ts';
import { registerSegmentSum } from './segment-sum.ts';

/** Those that are tried where none is asked for, fastest first. */
const USUAL: readonly TfjsBackend[] = ['tensorflow', 'wasm', 'cpu'];

/** What computes the steps. */
export interface TrainingBackend extends BackendOptions {
  /** Backends to try, in this order; by default TensorFlow where it is installed, then wasm, then cpu. */
  readonly backends?: readonly TfjsBackend[];
}

async function startBackend({ backends, ...options }: TrainingBackend): Promise<Pick<OpenModel, 'engine' | 'activate'>> {
  const problems: string[] = [];
  for (const name of backends ?? USUAL) {
    const problem = await activateBackend(name, options);
    if (problem === undefined) {
      if (name === 'wasm') {
        registerFilterGradient();
        registerInputGradient();
        registerSegmentSum();
      }
      const activate = async (): Promise<void> => {
        if (!isActive(name)) await activateBackend(name, options);
      };
      return { engine: `tfjs ${name}`, activate };
    }
    problems.push(problem.replace(/\.$/, ''));
  }
  throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs has no backend here: ${problems.join('; ')}.`);
}

/** A weight of a model that is to be trained. */
interface ModelWeight {
  /** As in the files of the model. */
  readonly name: string;
  readonly variable: tf.Variable;
  readonly trained: boolean;
}

interface OpenModel {
  readonly engine: string;
  /** Makes its backend the one that computes: tfjs has one for the whole process, and another model may have changed it. */
  activate(): Promise<void>;
  readonly model: LayersModel;
  /** In the order of the layers. */
  readonly weights: readonly ModelWeight[];
}

/**
 * A model with its first weights.
 * @throws SlipwayError INVALID_ARCHITECTURE, ENGINE_UNAVAILABLE
 */
export async function openModel(
  layers: readonly LayerConfig[],
  frozen: readonly string[],
  backend: TrainingBackend = {},
): Promise<OpenModel> {
  const started = await startBackend(backend);
  addChainedOps();
  const model = await buildModel(layers, frozen);
  const trained = new Set(model.trainableWeights.map((weight) => weight.read()));
  const weights = model.weights.map((weight) => {
    const variable = weight.read() as tf.Variable;
    return { name: weight.originalName, variable, trained: trained.has(variable) };
  });
  return { ...started, model, weights };
}

/** A copy of its numbers. By a promise, for a GPU has no other way to be read. */
export async function numbersOf(tensor: tf.Tensor): Promise<Float32Array> {
  return (await tensor.data<'float32'>()).slice();
}

/** A weight before the first step, as Keras lays it out. */
export interface InitialWeight {
  readonly name: string;
  readonly values: Values;
  readonly trained: boolean;
}

/**
 * The weights that training begins with: tfjs makes them for every engine, so the same seeds give the same.
 * @throws as `openModel`
 */
export async function initialWeights(layers: readonly LayerConfig[], frozen: readonly string[]): Promise<readonly InitialWeight[]> {
  const { model, weights } = await openModel(layers, frozen);
  const initial = await Promise.all(
    weights.map(async ({ name, variable, trained }) => {
      const values = { shape: [...variable.shape], data: await numbersOf(variable) };
      return { name, values, trained };
    }),
  );
  model.dispose();
  return initial;
}
