import type { Tensor } from '@tensorflow/tfjs-core';
import { type LayersModel, loadLayersModel, type SymbolicTensor } from '@tensorflow/tfjs-layers';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature, TensorSpec } from '../../tensor/signature.ts';
import { MODEL_FILE, type ModelFile } from '../../packages/tfjs/model-file.ts';
import { registerLayers } from './layers/register.ts';
import type { TfjsModel } from './tfjs-model.ts';
import { dtypeOf } from './values.ts';
import { weightArtifacts } from './weight-artifacts.ts';
import type { Weights } from '../../packages/tfjs/read-weights.ts';

function specOf(direction: string, name: string, { dtype, shape }: SymbolicTensor): TensorSpec {
  const slipwayDtype = dtypeOf(dtype);
  if (slipwayDtype === undefined) {
    throw new SlipwayError('ENGINE_UNAVAILABLE', `${MODEL_FILE}: the ${direction} "${name}" is ${dtype}, which Slipway has no dtype for.`);
  }
  return { name, dtype: slipwayDtype, shape: shape.map((dimension) => dimension ?? -1) };
}

/** A layer may give several outputs, all under its one name; the further ones take `_1`, `_2`, … */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let suffix = 1; taken.has(unique); suffix += 1) unique = `${name}_${suffix}`;
    taken.add(unique);
    return unique;
  });
}

function signatureOf(model: LayersModel): Signature {
  // By the layers, since a Sequential model has no lists of names.
  const inputNames = uniqueNames(model.inputs.map(({ sourceLayer }) => sourceLayer.name));
  const outputNames = uniqueNames(model.outputs.map(({ sourceLayer }) => sourceLayer.name));
  return {
    inputs: model.inputs.map((input, index) => specOf('input', inputNames[index]!, input)),
    outputs: model.outputs.map((output, index) => specOf('output', outputNames[index]!, output)),
  };
}

/** The weight that has another shape than its layer; of such ones tfjs says the shapes alone. */
async function misfit(topology: ModelFile['modelTopology'], { specs }: Weights): Promise<Error | undefined> {
  // Without weights, the layers tell what they want.
  const model = await loadLayersModel({ load: async () => ({ modelTopology: topology }) }).catch(() => undefined);
  if (model === undefined) return undefined;
  const wanted = new Map(model.weights.map(({ originalName, shape }) => [originalName, shape]));
  model.dispose();
  const wrong = specs.find(({ name, shape }) => wanted.has(name) && wanted.get(name)!.join() !== shape.join());
  if (wrong === undefined) return undefined;
  return new Error(
    `the weight "${wrong.name}" has the shape [${wrong.shape.join(', ')}]; its layer has [${wanted.get(wrong.name)!.join(', ')}]`,
  );
}

/** Loads a layers model. Its inputs and outputs are named as tfjs names them, after their layers. */
export async function loadLayers(topology: ModelFile['modelTopology'], weights: Weights): Promise<TfjsModel> {
  registerLayers();
  const model = await loadLayersModel({ load: async () => ({ modelTopology: topology, ...weightArtifacts(weights) }) }).catch(
    async (error: unknown) => {
      throw (await misfit(topology, weights)) ?? error;
    },
  );
  const signature = signatureOf(model);
  const positions = new Map(signature.outputs.map(({ name }, index) => [name, index]));

  return {
    signature,
    execute(inputs, outputs) {
      const ordered = signature.inputs.map(({ name }) => inputs.get(name)!);
      // tfjs would cut a batch into pieces of 32 in `predict`.
      const results = model.predictOnBatch(ordered.length === 1 ? ordered[0]! : ordered);
      const all: readonly Tensor[] = Array.isArray(results) ? results : [results];
      return outputs.map((name) => all[positions.get(name)!]!);
    },
    reset: () => model.resetStates(),
    dispose: () => void model.dispose(),
  };
}
