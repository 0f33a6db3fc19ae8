import type { Clipping, Distillation, OptimizerSpec } from '../engines/training/trainer.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { StoredWeight } from '../packages/tfjs/decode-weights.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { createGraphBuilder, type GraphBuilder } from './graph/builder.ts';
import type { Graph, Value } from './graph/graph.ts';
import type { LoweringMode } from './lowering/layer-call.ts';
import { type LoweredModel, lowerModel, type LoweredWeight, type RandomInput } from './lowering/lower-model.ts';
import { applySteps, undoSteps } from './lowering/weight-steps.ts';
import type { Fields } from './topology/config.ts';
import type { Model } from './topology/model.ts';
import { readTopology } from './topology/read-topology.ts';
import type { GraphLoss } from './training/losses.ts';
import { checkTrainable } from './training/trainable.ts';
import {
  buildEvaluation,
  buildSplitStep,
  buildTrainingStep,
  type SplitStep,
  type TrainingStep,
  type TrainingStepOptions,
} from './training/training-step.ts';

export interface TrainingOptions {
  readonly loss: GraphLoss;
  readonly distillation?: Distillation | undefined;
  readonly optimizer: OptimizerSpec;
  readonly clipping?: Clipping;
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
  /** Further inputs of the step: random numbers, as `engines/training/draws.ts` draws them. */
  readonly draws: readonly RandomInput[];
  /** In the order of the files. */
  readonly weights: readonly CompiledWeight[];
}

interface Lowered extends Omit<LoweredModel, 'outputs'> {
  readonly builder: GraphBuilder;
  readonly output: Value;
}

function lowered(model: Model, stored: ReadonlyMap<string, StoredWeight>, mode: LoweringMode): Lowered {
  const builder = createGraphBuilder();
  const { outputs, ...rest } = lowerModel(model, stored, builder, { mode });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0)
    throw new SlipwayError('COMPILE_FAILED', `A model that is trained has one output; "${model.name}" has ${outputs.length}.`);
  checkTrainable(stored.keys(), rest.weights);
  return { builder, output: output.value, ...rest };
}

/** A weight must lie in both graphs as the same numbers. */
function checkAlike(step: readonly LoweredWeight[], evaluation: readonly LoweredWeight[]): void {
  for (const { name, value, steps } of step) {
    const other = evaluation.find((weight) => weight.name === name);
    if (other?.value.name !== value.name || JSON.stringify(other.steps) !== JSON.stringify(steps))
      throw new Error(`The weight "${name}" is laid out otherwise where the model is measured.`);
  }
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

interface Prepared extends Omit<CompiledTraining, keyof TrainingStep> {
  readonly builder: GraphBuilder;
  readonly step: TrainingStepOptions;
}

function prepare(topology: Fields, stored: ReadonlyMap<string, StoredWeight>, options: TrainingOptions): Prepared {
  const model = readTopology(topology);
  const trained = lowered(model, stored, 'training');
  const { builder, output, weights, updates, draws, penalties } = trained;
  const others = weights.filter(({ value }) => !updates.has(value));
  const measured = lowered(model, stored, 'evaluation');
  checkAlike(weights, measured.weights);
  const evaluation = buildEvaluation(measured.builder, {
    loss: options.loss,
    output: measured.output,
    parameters: measured.weights.map(({ value }) => value),
    penalties: measured.penalties,
  });
  return {
    builder,
    evaluation,
    draws,
    weights: [...stored.values()].map((weight) => compiledWeight(weight, weights)),
    step: {
      ...options,
      output,
      parameters: others.filter(({ isTrained }) => isTrained).map(({ value }) => value),
      fixed: others.filter(({ isTrained }) => !isTrained).map(({ value }) => value),
      updates,
      penalties,
    },
  };
}

/**
 * A TF.js layers model of one output as two graphs: one computes a training step, the other measures. Layers whose config
 * says "trainable": false stay as they are.
 * @param topology `modelTopology` of its model.json.
 * @throws SlipwayError COMPILE_FAILED for what cannot be trained in one graph, naming the layer; INVALID_MODEL for a damaged file
 */
export function compileTrainingStep(
  topology: Fields,
  stored: ReadonlyMap<string, StoredWeight>,
  options: TrainingOptions,
): CompiledTraining {
  const { builder, step, ...rest } = prepare(topology, stored, options);
  return { ...rest, ...buildTrainingStep(builder, step) };
}

/**
 * The same with gradients and update as graphs of their own, so that several can each do a part of a batch.
 * @returns undefined for a model with layers that look at the whole batch, as BatchNormalization does
 * @throws as `compileTrainingStep`
 */
export function compileSplitStep(
  topology: Fields,
  stored: ReadonlyMap<string, StoredWeight>,
  options: TrainingOptions,
): (CompiledTraining & SplitStep) | undefined {
  const { builder, step, ...rest } = prepare(topology, stored, options);
  if (step.updates!.size > 0) return undefined;
  return { ...rest, ...buildSplitStep(builder, createGraphBuilder(), step) };
}
