import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Penalty } from '../lowering/lower-model.ts';

/** A loss with l1 · Σ|w| + l2 · Σw² of each weight that has a penalty. @param loss undefined for the penalties alone */
export function withPenalties(graph: GraphBuilder, loss: Value | undefined, penalties: readonly Penalty[]): Value {
  const math = arithmeticOf(graph, 'FP32');
  const parts = penalties.flatMap(({ weight, l1, l2 }) => [
    ...(l1 === 0 ? [] : [math.mul(graph.add('ReduceSum', [math.abs(weight)], { keepdims: 0 }), l1)]),
    ...(l2 === 0 ? [] : [math.mul(graph.add('ReduceSumSquare', [weight], { keepdims: 0 }), l2)]),
  ]);
  if (loss !== undefined) parts.unshift(loss);
  return parts.length === 1 ? parts[0]! : graph.add('Sum', parts);
}

/** The gradient of a weight with that of its penalties, l1 · sign(w) + 2 · l2 · w. */
export function withPenaltySlope(graph: GraphBuilder, gradient: Value, weight: Value, penalties: readonly Penalty[]): Value {
  const math = arithmeticOf(graph, 'FP32');
  const slopes = penalties
    .filter((penalty) => penalty.weight === weight)
    .flatMap(({ l1, l2 }) => [...(l1 === 0 ? [] : [math.mul(math.sign(weight), l1)]), ...(l2 === 0 ? [] : [math.mul(weight, 2 * l2)])]);
  return slopes.length === 0 ? gradient : graph.add('Sum', [gradient, ...slopes]);
}
