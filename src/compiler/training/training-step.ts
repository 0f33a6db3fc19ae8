import type { Clipping, OptimizerSpec } from '../../engines/training/trainer.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { addGradients } from '../gradient/gradients.ts';
import { isKnown } from '../gradient/shapes.ts';
import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, GraphOutput, Value } from '../graph/graph.ts';
import { clipInGraph } from './clip-gradients.ts';
import type { Penalty } from '../lowering/lower-model.ts';
import { GRAPH_LOSSES, type GraphLoss } from './losses.ts';
import { withPenalties, withPenaltySlope } from './penalties.ts';
import { graphUpdateRule } from './update-rules.ts';

/** The names of a step's inputs besides those of the model, and of its outputs besides the state. */
export const STEP = {
  /** What the model should give: class indexes INT32 [batch, …] for cross-entropy, else values FP32 as the outputs. */
  target: 'slipway/target',
  /** FP32, the weight of each example in the loss: 1 ÷ n for a mean over n, 0 for what fills up a batch. */
  weights: 'slipway/weights',
  /** FP32 [], the learning rate. */
  rate: 'slipway/rate',
  /** FP64 [], the number of the step; counts from 1. */
  step: 'slipway/step',
  /** FP32 []. */
  loss: 'slipway/loss',
  /** What the model gave before the update. */
  outputs: 'slipway/outputs',
} as const;

/** An array that goes into a step by its name. */
export interface FixedTensor {
  readonly name: string;
  readonly initial: Tensor;
}

/** One that comes out of it changed. */
export interface StateTensor extends FixedTensor {
  /** Name of the output that is the input of the next step. */
  readonly next: string;
}

export interface TrainingStep {
  readonly graph: Graph;
  /** The weights that are trained, in the order given, then the optimizer's memory: `slotName`; last the weights that layers update. */
  readonly state: readonly StateTensor[];
  /** The weights that go in and stay as they are, for they are frozen or change nothing. */
  readonly fixed: readonly FixedTensor[];
}

/** The name of the optimizer's memory for a weight in the graph. */
export function slotName(weight: string, slot: string): string {
  return `${weight}/${slot}`;
}

export interface TrainingStepOptions {
  /** The model's output. Softmax or sigmoid before it is computed as one with a cross-entropy. */
  readonly output: Value;
  /** The initializers that are trained. */
  readonly parameters: readonly Value[];
  /** Initializers that are not trained and go in as well. Default: none. */
  readonly fixed?: readonly Value[];
  /** Initializers that the model's layers change by themselves, with what they become. Default: none. */
  readonly updates?: ReadonlyMap<Value, Value>;
  /** What weights add to the loss. Default: nothing. */
  readonly penalties?: readonly Penalty[];
  readonly loss: GraphLoss;
  readonly optimizer: OptimizerSpec;
  /** Default: none. */
  readonly clipping?: Clipping;
}

function filled(shape: readonly number[], value: number): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: 'FP32', shape: [...shape], data: new Float32Array(length).fill(value) };
}

/**
 * Makes the model of a builder into one that measures: loss and outputs, with the names of a step. The weights go in, so
 * that those of a training can be given as they are.
 * @param parameters the initializers that become inputs
 */
export function buildEvaluation(
  graph: GraphBuilder,
  { output, parameters, loss: lossName, penalties = [] }: Pick<TrainingStepOptions, 'output' | 'parameters' | 'loss' | 'penalties'>,
): Graph {
  const loss = GRAPH_LOSSES[lossName];
  const target = graph.input(STEP.target, loss.targetType(output));
  const weights = graph.input(STEP.weights, loss.weightsType(output));
  const nodes = graph.inLayer('loss', () => loss.add(graph, output, target, weights));
  for (const parameter of parameters) graph.makeInput(parameter);
  return graph.finish('evaluation', [
    { name: STEP.loss, value: withPenalties(graph, nodes.loss, penalties) },
    { name: STEP.outputs, value: output },
  ]);
}

/**
 * Makes the model of a builder into one training step: forward, loss, gradients and update in one graph, so that a step
 * is one run. Weights and the optimizer's memory go in and come out.
 * @throws SlipwayError COMPILE_FAILED for an operator without a derivative, or a model that depends on no parameter.
 */
export function buildTrainingStep(
  graph: GraphBuilder,
  { output, parameters, fixed = [], updates = new Map(), penalties = [], loss: lossName, optimizer, clipping = {} }: TrainingStepOptions,
): TrainingStep {
  const loss = GRAPH_LOSSES[lossName];
  const target = graph.input(STEP.target, loss.targetType(output));
  const weights = graph.input(STEP.weights, loss.weightsType(output));
  const rate = graph.input(STEP.rate, { dtype: 'FP32', shape: [] });
  const step = graph.input(STEP.step, { dtype: 'FP64', shape: [] });
  const nodes = graph.inLayer('loss', () => loss.add(graph, output, target, weights));
  const found = addGradients(graph, new Map([[nodes.of, nodes.gradient]]), parameters);
  const trained = parameters.flatMap((weight, index) => (found[index] === undefined ? [] : [{ weight, gradient: found[index] }]));
  if (trained.length === 0) throw new SlipwayError('COMPILE_FAILED', 'The output of the model depends on no weight that can be trained.');

  const state: StateTensor[] = [];
  const outputs: GraphOutput[] = [
    { name: STEP.loss, value: withPenalties(graph, nodes.loss, penalties) },
    { name: STEP.outputs, value: output },
  ];
  const memory: StateTensor[] = [];
  graph.inLayer('update', () => {
    const clipped = clipInGraph(
      graph,
      trained.map(({ weight, gradient }) => withPenaltySlope(graph, gradient, weight, penalties)),
      clipping,
    );
    const rule = graphUpdateRule(optimizer, { graph, math: arithmeticOf(graph, 'FP32'), rate, step });
    for (const [index, { weight }] of trained.entries()) {
      const { name, shape } = weight;
      if (!isKnown(shape)) throw new Error(`The weight ${name} has no known shape.`);
      const before = new Map<string, Value>();
      for (const [slot, value] of Object.entries(rule.slots)) {
        const full = slotName(name, slot);
        memory.push({ name: full, next: `next/${full}`, initial: filled(shape, value) });
        before.set(slot, graph.input(full, { dtype: 'FP32', shape }));
      }
      state.push({ name, next: `next/${name}`, initial: graph.makeInput(weight) });
      const after = rule.add({ weights: weight, gradient: clipped[index]!, slots: Object.fromEntries(before) });
      outputs.push({ name: `next/${name}`, value: after.weights });
      for (const [slot, value] of Object.entries(after.slots)) outputs.push({ name: `next/${slotName(name, slot)}`, value });
    }
  });
  const statistics = [...updates].map(([weight, next]): StateTensor => {
    outputs.push({ name: `next/${weight.name}`, value: next });
    return { name: weight.name, next: `next/${weight.name}`, initial: graph.makeInput(weight) };
  });
  const kept = [...fixed, ...parameters.filter((_weight, index) => found[index] === undefined)];
  const keptTensors = kept.map((weight) => ({ name: weight.name, initial: graph.makeInput(weight) }));
  return { graph: graph.finish('training step', outputs), state: [...state, ...memory, ...statistics], fixed: keptTensors };
}
