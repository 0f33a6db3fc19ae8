import type { Clipping, OptimizerSpec } from '../engines/training/trainer.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { StoredWeight } from '../packages/tfjs/decode-weights.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { createGraphBuilder, type GraphBuilder } from './graph/builder.ts';
import type { Graph, Value } from './graph/graph.ts';
import { lowerModel, type LoweredWeight } from './lowering/lower-model.ts';
import { applySteps, undoSteps } from './lowering/weight-steps.ts';
import type { Fields } from './topology/config.ts';
import type { Model } from './topology/model.ts';
import { readTopology } from './topology/read-topology.ts';
import type { GraphLoss } from './training/losses.ts';
import { checkTrainable } from './training/trainable.ts';
import { buildEvaluation, buildTrainingStep, type TrainingStep } from './training/training-step.ts';

export interface TrainingOptions {
  readonly loss: GraphLoss;
  readonly optimizer: OptimizerSpec;
  readonly clipping?: Clipping;
  /** Names, as in the files, of weights that stay as they are. Default: none. */
  readonly frozen?: ReadonlySet<string>;
}

/** A weight of the model's files and the input of the graphs that it is. */
export interface CompiledWeight {
  readonly name: string;
  readonly input: string;
  /** As the graphs take it. @param tensor as the files have it */
  toGraph(tensor: Tensor): Tensor;
  /** The other way round; the optimizer's memory of the weight goes the same way. */
  fromGraph(tensor: Tensor): Tensor;
}

export interface CompiledTraining extends TrainingStep {
  /** The model as it is served: gives loss and outputs for all weights, those of the state and the fixed ones. */
  readonly evaluation: Graph;
  /** In the order of the files. */
  readonly weights: readonly CompiledWeight[];
}

/** Both graphs are lowered alike, so that a weight lies in both as the same numbers. */
function lowered(
  model: Model,
  stored: ReadonlyMap<string, StoredWeight>,
): { readonly builder: GraphBuilder; readonly output: Value; readonly weights: readonly LoweredWeight[] } {
  const builder = createGraphBuilder();
  const { outputs, weights } = lowerModel(model, stored, builder, { training: true });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0)
    throw new SlipwayError('COMPILE_FAILED', `A model that is trained has one output; "${model.name}" has ${outputs.length}.`);
  return { builder, output: output.value, weights };
}

function compiledWeight({ name, shape }: StoredWeight, weights: readonly LoweredWeight[]): CompiledWeight {
  const { value, steps } = weights.find((weight) => weight.name === name)!;
  return {
    name,
    input: value.name,
    toGraph: (tensor) => applySteps({ ...tensor, shape }, steps),
    fromGraph: (tensor) => undoSteps(tensor, steps, shape),
  };
}

/**
 * A TF.js layers model of one output as two graphs: one computes a training step, the other measures.
 * @param topology `modelTopology` of its model.json.
 * @throws SlipwayError COMPILE_FAILED for what cannot be trained in one graph, naming the layer; INVALID_MODEL for a damaged file
 */
export function compileTrainingStep(
  topology: Fields,
  stored: ReadonlyMap<string, StoredWeight>,
  { frozen = new Set(), ...options }: TrainingOptions,
): CompiledTraining {
  const model = readTopology(topology);
  const { builder, output, weights } = lowered(model, stored);
  checkTrainable(model, stored.keys(), weights);
  const isFrozen = ({ name }: LoweredWeight): boolean => frozen.has(name);
  const step = buildTrainingStep(builder, {
    ...options,
    output,
    parameters: weights.filter((weight) => !isFrozen(weight)).map(({ value }) => value),
    fixed: weights.filter(isFrozen).map(({ value }) => value),
  });
  const measured = lowered(model, stored);
  const evaluation = buildEvaluation(measured.builder, {
    loss: options.loss,
    output: measured.output,
    parameters: measured.weights.map(({ value }) => value),
  });
  return { ...step, evaluation, weights: [...stored.values()].map((weight) => compiledWeight(weight, weights)) };
}
