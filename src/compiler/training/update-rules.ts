import { type Arithmetic, arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { OptimizerSpec } from '../../engines/training/trainer.ts';

/** One array of weights at one step. */
interface Update {
  readonly weights: Value;
  readonly gradient: Value;
  readonly slots: Readonly<Record<string, Value>>;
}

interface Updated {
  readonly weights: Value;
  readonly slots: Readonly<Record<string, Value>>;
}

/** An optimizer as nodes. */
export interface GraphUpdateRule {
  /** The optimizer's memory for each array of weights, by name, with the number that it is filled with at first. */
  readonly slots: Readonly<Record<string, number>>;
  add(update: Update): Updated;
}

/** What all arrays share: the graph, the learning rate and the number of the step (from 1, FP64), both scalars. */
export interface RuleContext {
  readonly graph: GraphBuilder;
  readonly math: Arithmetic;
  readonly rate: Value;
  readonly step: Value;
}

type Rule<Kind extends OptimizerSpec['kind']> = (spec: Extract<OptimizerSpec, { kind: Kind }>, context: RuleContext) => GraphUpdateRule;

/* The formulas, with their sources, are those of `engines/training/update-rules.ts`, which the tests hold these to. */

/** Weight decay joins the gradient. */
function decayed(math: Arithmetic, { weights, gradient }: Update, weightDecay: number): Value {
  return weightDecay === 0 ? gradient : math.add(gradient, math.mul(weights, weightDecay));
}

/** share · memory + (1 − share) · now. */
function blend(math: Arithmetic, memory: Value, now: Value, share: number): Value {
  return math.add(math.mul(memory, share), math.mul(now, 1 - share));
}

const sgd: Rule<'sgd'> = ({ momentum, nesterov, weightDecay }, { math, rate }) => ({
  slots: momentum === 0 ? {} : { momentum: 0 },
  add(update) {
    const g = decayed(math, update, weightDecay);
    const { momentum: memory } = update.slots;
    if (memory === undefined) return { weights: math.sub(update.weights, math.mul(g, rate)), slots: {} };
    const b = math.add(math.mul(memory, momentum), g);
    const direction = nesterov ? math.add(g, math.mul(b, momentum)) : b;
    return { weights: math.sub(update.weights, math.mul(direction, rate)), slots: { momentum: b } };
  },
});

const adagrad: Rule<'adagrad'> = ({ initialAccumulator, epsilon, weightDecay }, { math, rate }) => ({
  slots: { sum: initialAccumulator },
  add(update) {
    const g = decayed(math, update, weightDecay);
    const sum = math.add(update.slots['sum']!, math.mul(g, g));
    const change = math.div(math.mul(g, rate), math.add(math.sqrt(sum), epsilon));
    return { weights: math.sub(update.weights, change), slots: { sum } };
  },
});

const adadelta: Rule<'adadelta'> = ({ rho, epsilon, weightDecay }, { math, rate }) => ({
  slots: { square: 0, delta: 0 },
  add(update) {
    const g = decayed(math, update, weightDecay);
    const before = update.slots['delta']!;
    const square = blend(math, update.slots['square']!, math.mul(g, g), rho);
    const ratio = math.div(math.sqrt(math.add(before, epsilon)), math.sqrt(math.add(square, epsilon)));
    const change = math.mul(ratio, g);
    const delta = blend(math, before, math.mul(change, change), rho);
    return { weights: math.sub(update.weights, math.mul(change, rate)), slots: { square, delta } };
  },
});

const rmsprop: Rule<'rmsprop'> = ({ rho, momentum, centered, epsilon, weightDecay }, { math, rate }) => ({
  slots: { square: 0, ...(centered && { mean: 0 }), ...(momentum > 0 && { momentum: 0 }) },
  add(update) {
    const g = decayed(math, update, weightDecay);
    const square = blend(math, update.slots['square']!, math.mul(g, g), rho);
    const slots: Record<string, Value> = { square };
    let variance = square;
    if (centered) {
      const mean = blend(math, update.slots['mean']!, g, rho);
      slots['mean'] = mean;
      variance = math.sub(square, math.mul(mean, mean));
    }
    let change = math.div(g, math.add(math.sqrt(variance), epsilon));
    if (momentum > 0) slots['momentum'] = change = math.add(math.mul(update.slots['momentum']!, momentum), change);
    return { weights: math.sub(update.weights, math.mul(change, rate)), slots };
  },
});

/** 1 − βᵗ as FP64: in FP32 the first steps of a β near 1 would lose half of their digits. */
function correction({ graph, step }: RuleContext, beta: number): Value {
  const math = arithmeticOf(graph, 'FP64');
  return math.sub(1, math.pow(beta, step));
}

function toFp32(graph: GraphBuilder, value: Value): Value {
  return graph.add('Cast', [value], { to: 'FP32' });
}

const adam: Rule<'adam' | 'adamw'> = ({ kind, beta1, beta2, epsilon, weightDecay }, context) => {
  const { graph, math, rate } = context;
  const scale = math.div(rate, toFp32(graph, correction(context, beta1)));
  const root = toFp32(graph, arithmeticOf(graph, 'FP64').sqrt(correction(context, beta2)));
  const shrink = kind === 'adamw' && weightDecay !== 0 ? math.sub(1, math.mul(rate, weightDecay)) : undefined;
  return {
    slots: { first: 0, second: 0 },
    add(update) {
      const g = decayed(math, update, kind === 'adamw' ? 0 : weightDecay);
      const first = blend(math, update.slots['first']!, g, beta1);
      const second = blend(math, update.slots['second']!, math.mul(g, g), beta2);
      const change = math.div(math.mul(first, scale), math.add(math.div(math.sqrt(second), root), epsilon));
      const kept = shrink === undefined ? update.weights : math.mul(update.weights, shrink);
      return { weights: math.sub(kept, change), slots: { first, second } };
    },
  };
};

const adamax: Rule<'adamax'> = ({ beta1, beta2, epsilon, weightDecay }, context) => {
  const { graph, math, rate } = context;
  const scale = math.div(rate, toFp32(graph, correction(context, beta1)));
  return {
    slots: { first: 0, norm: 0 },
    add(update) {
      const g = decayed(math, update, weightDecay);
      const first = blend(math, update.slots['first']!, g, beta1);
      const norm = math.max(math.mul(update.slots['norm']!, beta2), math.add(math.abs(g), epsilon));
      return { weights: math.sub(update.weights, math.div(math.mul(first, scale), norm)), slots: { first, norm } };
    },
  };
};

/** The rule of an optimizer, for all arrays of weights of a graph. */
export function graphUpdateRule(spec: OptimizerSpec, context: RuleContext): GraphUpdateRule {
  switch (spec.kind) {
    case 'sgd':
      return sgd(spec, context);
    case 'adagrad':
      return adagrad(spec, context);
    case 'adadelta':
      return adadelta(spec, context);
    case 'rmsprop':
      return rmsprop(spec, context);
    case 'adamax':
      return adamax(spec, context);
    case 'adam':
    case 'adamw':
      return adam(spec, context);
  }
}
