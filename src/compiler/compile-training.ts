import type { Clipping, OptimizerSpec } from '../engines/training/trainer.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { StoredWeight } from '../packages/tfjs/decode-weights.ts';
import { createGraphBuilder } from './graph/builder.ts';
import { lowerModel, type LoweredWeight } from './lowering/lower-model.ts';
import type { Fields } from './topology/config.ts';
import { readTopology } from './topology/read-topology.ts';
import type { GraphLoss } from './training/losses.ts';
import { checkTrainable } from './training/trainable.ts';
import { buildTrainingStep, type TrainingStep } from './training/training-step.ts';

export interface TrainingOptions {
  readonly loss: GraphLoss;
  readonly optimizer: OptimizerSpec;
  readonly clipping?: Clipping;
  /** Names, as in the files, of weights that stay as they are. Default: none. */
  readonly frozen?: ReadonlySet<string>;
}

export interface CompiledTraining extends TrainingStep {
  /** Where each weight of the model's files is in the graph. */
  readonly weights: readonly LoweredWeight[];
}

/**
 * A TF.js layers model of one output as a graph that computes a training step.
 * @param topology `modelTopology` of its model.json.
 * @throws SlipwayError COMPILE_FAILED for what cannot be trained in one graph, naming the layer; INVALID_MODEL for a damaged file
 */
export function compileTrainingStep(
  topology: Fields,
  stored: ReadonlyMap<string, StoredWeight>,
  { frozen = new Set(), ...options }: TrainingOptions,
): CompiledTraining {
  const model = readTopology(topology);
  const builder = createGraphBuilder();
  const { outputs, weights } = lowerModel(model, stored, builder, { training: true });
  checkTrainable(model, stored.keys(), weights);
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0)
    throw new SlipwayError('COMPILE_FAILED', `A model that is trained has one output; "${model.name}" has ${outputs.length}.`);
  const parameters = weights.filter(({ name }) => !frozen.has(name)).map(({ value }) => value);
  return { ...buildTrainingStep(builder, { ...options, output: output.value, parameters }), weights };
}
