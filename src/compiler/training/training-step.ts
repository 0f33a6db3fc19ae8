import type { Clipping, Distillation, OptimizerSpec } from '../../engines/training/trainer.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { addGradients } from '../gradient/gradients.ts';
import { isKnown } from '../gradient/shapes.ts';
import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Graph, GraphOutput, Value } from '../graph/graph.ts';
import { clipInGraph } from './clip-gradients.ts';
import { addTeacher } from './distillation.ts';
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
  /** FP32 in the shape of the outputs: a teacher's probabilities at the temperature, where there is distillation. */
  teacher: 'slipway/teacher',
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
  /** Of the loss cross-entropy. Default: none. */
  readonly distillation?: Distillation | undefined;
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

interface Trained {
  readonly weight: Value;
  readonly gradient: Value;
}

/** Adds forward, loss and gradients. @returns the loss without penalties, and the parameters that it depends on */
function addLossGradients(
  graph: GraphBuilder,
  { output, parameters, loss: lossName, distillation }: Pick<TrainingStepOptions, 'output' | 'parameters' | 'loss' | 'distillation'>,
): { readonly loss: Value; readonly trained: readonly Trained[]; readonly untouched: readonly Value[] } {
  const loss = GRAPH_LOSSES[lossName];
  const target = graph.input(STEP.target, loss.targetType(output));
  const weights = graph.input(STEP.weights, loss.weightsType(output));
  const teacher = distillation && graph.input(STEP.teacher, { dtype: 'FP32', shape: output.shape });
  const nodes = graph.inLayer('loss', () => {
    const right = loss.add(graph, output, target, weights);
    return teacher === undefined ? right : addTeacher(graph, right, teacher, weights, distillation!);
  });
  const found = addGradients(graph, new Map([[nodes.of, nodes.gradient]]), parameters);
  const trained = parameters.flatMap((weight, index) => (found[index] === undefined ? [] : [{ weight, gradient: found[index] }]));
  if (trained.length === 0) throw new SlipwayError('COMPILE_FAILED', 'The output of the model depends on no weight that can be trained.');
  return { loss: nodes.loss, trained, untouched: parameters.filter((_weight, index) => found[index] === undefined) };
}

interface AddedUpdate {
  /** The next weights and the next memory. */
  readonly outputs: readonly GraphOutput[];
  /** The optimizer's memory. */
  readonly memory: readonly StateTensor[];
}

/** Adds what makes the next weights of weights and gradients, with inputs for rate and step. */
function addUpdate(
  graph: GraphBuilder,
  trained: readonly Trained[],
  { penalties = [], optimizer, clipping = {} }: Pick<TrainingStepOptions, 'penalties' | 'optimizer' | 'clipping'>,
): AddedUpdate {
  const rate = graph.input(STEP.rate, { dtype: 'FP32', shape: [] });
  const step = graph.input(STEP.step, { dtype: 'FP64', shape: [] });
  const outputs: GraphOutput[] = [];
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
      const before = new Map<string, Value>();
      for (const [slot, value] of Object.entries(rule.slots)) {
        const full = slotName(name, slot);
        memory.push({ name: full, next: `next/${full}`, initial: filled(knownShape(weight), value) });
        before.set(slot, graph.input(full, { dtype: 'FP32', shape }));
      }
      const after = rule.add({ weights: weight, gradient: clipped[index]!, slots: Object.fromEntries(before) });
      outputs.push({ name: `next/${name}`, value: after.weights });
      for (const [slot, value] of Object.entries(after.slots)) outputs.push({ name: `next/${slotName(name, slot)}`, value });
    }
  });
  return { outputs, memory };
}

function knownShape({ name, shape }: Value): readonly number[] {
  if (!isKnown(shape)) throw new Error(`The weight ${name} has no known shape.`);
  return shape;
}

/** Initializers that become inputs, with what they hold. */
function asInputs(graph: GraphBuilder, weights: readonly Value[]): FixedTensor[] {
  return weights.map((weight) => ({ name: weight.name, initial: graph.makeInput(weight) }));
}

const withNext = ({ name, initial }: FixedTensor): StateTensor => ({ name, initial, next: `next/${name}` });

/**
 * Makes the model of a builder into one training step: forward, loss, gradients and update in one graph, so that a step
 * is one run. Weights and the optimizer's memory go in and come out.
 * @throws SlipwayError COMPILE_FAILED for an operator without a derivative, or a model that depends on no parameter.
 */
export function buildTrainingStep(graph: GraphBuilder, options: TrainingStepOptions): TrainingStep {
  const { output, fixed = [], updates = new Map<Value, Value>(), penalties = [] } = options;
  const { loss, trained, untouched } = addLossGradients(graph, options);
  const { outputs: next, memory } = addUpdate(graph, trained, options);
  const outputs: GraphOutput[] = [
    { name: STEP.loss, value: withPenalties(graph, loss, penalties) },
    { name: STEP.outputs, value: output },
    ...next,
    ...[...updates].map(([weight, value]) => ({ name: `next/${weight.name}`, value })),
  ];
  const weights = asInputs(
    graph,
    trained.map(({ weight }) => weight),
  ).map(withNext);
  const statistics = asInputs(graph, [...updates.keys()]).map(withNext);
  const kept = asInputs(graph, [...fixed, ...untouched]);
  return { graph: graph.finish('training step', outputs), state: [...weights, ...memory, ...statistics], fixed: kept };
}

/**
 * The same step as two graphs, so that gradients of several parts of a batch can be summed between them: `graph` gives loss,
 * outputs and a gradient for each trained weight, `update` takes the sums.
 */
export interface SplitStep extends TrainingStep {
  readonly update: Graph;
  /** Weights of the state that have a gradient, and the names that it has in both graphs. */
  readonly gradients: readonly { readonly weight: string; readonly name: string }[];
}

/**
 * @param updates must be empty: what layers learn of a whole batch is not known of its parts.
 * @param update an empty builder. Where weights have penalties, its graph gives these as `STEP.loss`, to be added.
 * @throws as `buildTrainingStep`
 */
export function buildSplitStep(graph: GraphBuilder, update: GraphBuilder, options: TrainingStepOptions): SplitStep {
  const { output, fixed = [], penalties = [] } = options;
  const { loss, trained, untouched } = addLossGradients(graph, options);
  const gradients = trained.map(({ weight: { name } }) => ({ weight: name, name: `gradient/${name}` }));
  const outputs: GraphOutput[] = [
    { name: STEP.loss, value: loss },
    { name: STEP.outputs, value: output },
    ...trained.map(({ gradient }, index) => ({ name: gradients[index]!.name, value: gradient })),
  ];
  const inUpdate = trained.map(({ weight }, index) => ({
    weight: update.input(weight.name, weight),
    gradient: update.input(gradients[index]!.name, weight),
  }));
  const ofUpdate = penalties.flatMap(({ weight, ...penalty }) => {
    const found = inUpdate.find((each) => each.weight.name === weight.name);
    return found === undefined ? [] : [{ ...penalty, weight: found.weight }];
  });
  const { outputs: next, memory } = addUpdate(update, inUpdate, { ...options, penalties: ofUpdate });
  const penalty = ofUpdate.length === 0 ? [] : [{ name: STEP.loss, value: withPenalties(update, undefined, ofUpdate) }];
  const weights = asInputs(
    graph,
    trained.map(({ weight }) => weight),
  ).map(withNext);
  const kept = asInputs(graph, [...fixed, ...untouched]);
  return {
    graph: graph.finish('gradients', outputs),
    update: update.finish('update', [...penalty, ...next]),
    state: [...weights, ...memory],
    fixed: kept,
    gradients,
  };
}
