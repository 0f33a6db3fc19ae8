import * as tf from '@tensorflow/tfjs-core';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { TfjsModel } from './tfjs-model.ts';
import { fromTfjsTensor, toTfjsTensor } from './values.ts';

/** Runs a model on the backend that is active, and leaves no tensor behind. */
export type Execution = (inputs: NamedTensors, outputs: readonly string[]) => Promise<NamedTensors>;

function toTfjsTensors(inputs: NamedTensors): Map<string, tf.Tensor> {
  const tensors = new Map<string, tf.Tensor>();
  for (const [name, tensor] of inputs) tensors.set(name, toTfjsTensor(name, tensor));
  return tensors;
}

async function fromTfjsTensors(results: readonly tf.Tensor[], outputs: readonly string[]): Promise<NamedTensors> {
  const tensors = await Promise.all(outputs.map((name, index) => fromTfjsTensor(name, results[index]!)));
  return new Map(outputs.map((name, index): [string, Tensor] => [name, tensors[index]!]));
}

function disposeAll(model: TfjsModel, tensors: Iterable<tf.Tensor>): void {
  for (const tensor of tensors) if (!tensor.isDisposed && model.ownsTensor?.(tensor) !== true) tensor.dispose();
}

async function runInScope(model: TfjsModel, inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors> {
  // Only the answers outlive the scope, which cannot span the turns of the event loop that reading a GPU takes.
  const results = tf.tidy(() => [...model.execute(toTfjsTensors(inputs), outputs)]);
  try {
    return await fromTfjsTensors(results, outputs);
  } finally {
    disposeAll(model, results);
  }
}

/** A scope cannot span the turns of the event loop, so here each tensor is disposed by hand. */
async function runWithoutScope(model: TfjsModel, inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors> {
  const fed = toTfjsTensors(inputs);
  let results: readonly tf.Tensor[] = [];
  try {
    results = await model.executeAsync!(fed, outputs);
    return await fromTfjsTensors(results, outputs);
  } finally {
    disposeAll(model, [...fed.values(), ...results]);
  }
}

/**
 * The way to run a model.
 * @throws SlipwayError INFERENCE_FAILED with what tfjs said, when run.
 */
export function createExecution(model: TfjsModel): Execution {
  // tfjs finds control flow only when it first runs a graph, and then asks for the slower way.
  let inScope = true;
  return async (inputs, outputs) => {
    if (outputs.length === 0) return new Map();
    try {
      if (inScope) {
        try {
          return await runInScope(model, inputs, outputs);
        } catch (error) {
          if (model.executeAsync === undefined || !messageOf(error).includes('model.executeAsync()')) throw error;
          inScope = false;
        }
      }
      return await runWithoutScope(model, inputs, outputs);
    } catch (error) {
      if (error instanceof SlipwayError) throw error;
      throw new SlipwayError('INFERENCE_FAILED', `tfjs failed: ${messageOf(error)}`, { cause: error });
    }
  };
}
