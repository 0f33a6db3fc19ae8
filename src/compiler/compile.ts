import type { StoredWeight } from '../packages/tfjs/decode-weights.ts';
import { createGraphBuilder } from './graph/builder.ts';
import type { Graph } from './graph/graph.ts';
import { lowerModel } from './lowering/lower-model.ts';
import type { Fields } from './topology/config.ts';
import { readTopology } from './topology/read-topology.ts';

/**
 * A TF.js layers model as one graph, which gives what the model gives at inference.
 * @param topology `modelTopology` of its model.json.
 * @throws SlipwayError COMPILE_FAILED for what cannot be said in ONNX, INVALID_MODEL for a damaged file; both name the layer.
 */
export function compileLayersModel(topology: Fields, weights: ReadonlyMap<string, StoredWeight>): Graph {
  const model = readTopology(topology);
  const builder = createGraphBuilder();
  const { outputs } = lowerModel(model, weights, builder);
  return builder.finish(model.name, outputs);
}
