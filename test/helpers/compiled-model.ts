import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { expect } from 'vitest';
import { compileLayersModel } from '../../src/compiler/compile.ts';
import type { Graph } from '../../src/compiler/graph/graph.ts';
import { decodeWeights, type StoredWeight } from '../../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../../src/packages/tfjs/model-file.ts';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';
import { runGraph } from './run-graph.ts';

tf.enableProdMode();

/** A model as its files say it. */
export interface SavedModel {
  readonly topology: Readonly<Record<string, unknown>>;
  readonly weights: ReadonlyMap<string, StoredWeight>;
}

export async function savedModel(model: LayersModel): Promise<SavedModel> {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save({
    save: async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
  const weights = decodeWeights({ specs: saved!.weightSpecs as WeightSpec[], data: [saved!.weightData as ArrayBuffer] });
  // Through text, as a file.
  return { topology: JSON.parse(JSON.stringify(saved!.modelTopology)) as SavedModel['topology'], weights };
}

/** Numbers that are the same for the same seed, in [-1, 1). */
export function randomNumbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Gives every weight random numbers: those that a model begins with hide mistakes, for many are 0 or 1. */
export function withRandomWeights(model: LayersModel, seed: number): LayersModel {
  const weights = model.weights.map((weight, index) => {
    const numbers = randomNumbers(
      weight.shape.reduce<number>((product, size) => product * size!, 1),
      seed + index,
    );
    // A variance is no negative number.
    return tf.tensor(weight.name.includes('variance') ? numbers.map((value) => Math.abs(value) + 0.1) : numbers, weight.shape as number[]);
  });
  model.setWeights(weights);
  tf.dispose(weights);
  return model;
}

export async function compile(model: LayersModel): Promise<Graph> {
  const { topology, weights } = await savedModel(model);
  return compileLayersModel(topology, weights);
}

/** What tfjs gives for the inputs, in the order of the model's. */
function predictByTfjs(model: LayersModel, inputs: readonly Tensor[]): Tensor[] {
  return tf.tidy(() => {
    const fed = inputs.map(({ dtype, shape, data }) =>
      tf.tensor(data as Float32Array, [...shape], dtype === 'INT32' ? 'int32' : 'float32'),
    );
    const result = model.predictOnBatch(fed.length === 1 ? fed[0]! : fed);
    return (Array.isArray(result) ? result : [result]).map((tensor) => ({
      dtype: 'FP32',
      shape: tensor.shape,
      data: Float32Array.from(tensor.dataSync()),
    }));
  });
}

/** The largest difference, relative to the numbers where these are large. */
function difference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let largest = 0;
  for (let index = 0; index < one.length; index += 1) {
    const off = Math.abs(one[index]! - other[index]!) / Math.max(1, Math.abs(other[index]!));
    // NaN is larger than all.
    if (!(off <= largest)) largest = off;
  }
  return largest;
}

export function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual([...expected.shape]);
  expect(difference(actual.data as Float32Array, expected.data as Float32Array)).toBeLessThan(1e-4);
}

/** Compiles the model and holds what ONNX Runtime gives to what tfjs does, to 1e-4. @returns the graph */
export async function expectSameAsTfjs(model: LayersModel, inputs: readonly Tensor[]): Promise<Graph> {
  const graph = await compile(model);
  const feeds = Object.fromEntries(graph.inputs.map(({ name }, index) => [name, inputs[index]!]));
  const results: NamedTensors = await runGraph(graph, feeds);
  const expected = predictByTfjs(model, inputs);
  expect(results.size).toBe(expected.length);
  for (const [index, result] of [...results.values()].entries()) expectClose(result, expected[index]!);
  return graph;
}

/** A tensor of random numbers in [-1, 1). */
export function randomTensor(shape: readonly number[], seed: number): Tensor {
  return {
    dtype: 'FP32',
    shape,
    data: randomNumbers(
      shape.reduce((product, size) => product * size, 1),
      seed,
    ),
  };
}
