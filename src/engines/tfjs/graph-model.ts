import type { io, NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';
import { type GraphModel, loadGraphModel } from '@tensorflow/tfjs-converter';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { type GraphSignature, type GraphValue, readGraphSignature } from './graph-signature.ts';
import { MODEL_FILE, type ModelFile } from '../../packages/tfjs/model-file.ts';
import type { TfjsModel } from './tfjs-model.ts';
import { dtypeOf } from './values.ts';
import { weightArtifacts } from './weight-artifacts.ts';
import type { Weights } from '../../packages/tfjs/read-weights.ts';

/** Older models carry no signature: then the placeholders and the last nodes of the graph are the inputs and outputs. */
function signatureOfGraph(model: GraphModel): GraphSignature {
  const valueOf = (name: string, shape: number[] | undefined, dtype: Tensor['dtype'] | undefined): GraphValue => ({
    spec: {
      name,
      dtype: dtype === undefined ? undefined : dtypeOf(dtype),
      shape: shape?.map((dimension) => Math.max(-1, dimension)) ?? null,
    },
    tensor: name,
  });
  return {
    inputs: model.inputs.map(({ name, shape, dtype }) => valueOf(name, shape, dtype)),
    // Nodes of an operator do not say what they give; the trial run tells the dtype.
    outputs: model.outputs.map(({ name }) => valueOf(name, undefined, undefined)),
  };
}

/** A tensor of a graph is named after its node, with the number of the node's output: `x:0`. */
function checkTensorsExist(file: ModelFile, signature: GraphSignature): void {
  const nodes = new Set<unknown>();
  const listed = file.modelTopology['node'];
  for (const node of Array.isArray(listed) ? (listed as unknown[]) : []) {
    if (typeof node === 'object' && node !== null && 'name' in node) nodes.add(node.name);
  }
  for (const { spec, tensor } of [...signature.inputs, ...signature.outputs]) {
    if (!nodes.has(tensor.replace(/:\d+$/, ''))) {
      throw new SlipwayError(
        'INVALID_MODEL',
        `${MODEL_FILE}: its signature says that "${spec.name}" is the tensor "${tensor}", which is not in the graph.`,
      );
    }
  }
}

/** Loads a TF.js graph model. Inputs and outputs have the names of its signature, not those of its nodes. */
export async function loadGraph(file: ModelFile, weights: Weights): Promise<TfjsModel> {
  const declared = readGraphSignature(file);
  if (declared !== undefined) checkTensorsExist(file, declared);
  const artifacts: io.ModelArtifacts = {
    // tfjs reads the producer's version without a look whether it is there.
    modelTopology: { versions: {}, ...file.modelTopology },
    ...weightArtifacts(weights),
    ...(file.signature && { signature: file.signature }),
    ...(file.userDefinedMetadata && { userDefinedMetadata: file.userDefinedMetadata as Record<string, object> }),
    ...(file.modelInitializer && { modelInitializer: file.modelInitializer }),
    ...(file.initializerSignature && { initializerSignature: file.initializerSignature }),
  };
  const model = await loadGraphModel({ load: async () => artifacts });
  // The model keeps the artifacts, to be saved again; the tensors have the weights by now.
  artifacts.weightData = new ArrayBuffer(0);
  const { inputs, outputs } = declared ?? signatureOfGraph(model);
  for (const { spec } of inputs) {
    if (spec.dtype === undefined)
      throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} does not say the dtype of the input "${spec.name}".`);
  }
  const tensorOfInput = new Map(inputs.map(({ spec, tensor }) => [spec.name, tensor]));
  const tensorOfOutput = new Map(outputs.map(({ spec, tensor }) => [spec.name, tensor]));
  const weightIds = new Set(
    Object.values(model.weights)
      .flat()
      .map(({ id }) => id),
  );

  const feedsOf = (tensors: ReadonlyMap<string, Tensor>): NamedTensorMap =>
    Object.fromEntries([...tensors].map(([name, tensor]) => [tensorOfInput.get(name)!, tensor]));
  const fetchesOf = (names: readonly string[]): string[] => names.map((name) => tensorOfOutput.get(name)!);
  const listOf = (results: Tensor | Tensor[]): readonly Tensor[] => (Array.isArray(results) ? results : [results]);

  return {
    signature: {
      inputs: inputs.map(({ spec }) => ({ ...spec, dtype: spec.dtype! })),
      outputs: outputs.map(({ spec }) => ({ ...spec, dtype: spec.dtype ?? 'FP32' })),
    },
    execute: (tensors, names) => listOf(model.execute(feedsOf(tensors), fetchesOf(names))),
    executeAsync: async (tensors, names) => listOf(await model.executeAsync(feedsOf(tensors), fetchesOf(names))),
    ownsTensor: ({ id }) => weightIds.has(id),
    dispose: () => model.dispose(),
  };
}
