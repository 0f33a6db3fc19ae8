import { elementsOf } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { int64s } from '../../graph/tensors.ts';
import { axisOf, constantIntsOf, type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { expandLike, sumOver } from '../shapes.ts';

/** The axes that a node reduces. */
function axesOf(call: DerivativeCall): number[] {
  const rank = call.input(0).shape.length;
  const axes = constantIntsOf(call, 1);
  if (axes !== undefined && (axes.length > 0 || numberOf(call, 'noop_with_empty_axes', 0) === 1))
    return axes.map((axis) => axisOf(axis, rank));
  return Array.from({ length: rank }, (_axis, axis) => axis);
}

/** A value of the reduced shape with the reduced axes put back as ones, so that it broadcasts to the input. */
function kept(call: DerivativeCall, value: Value): Value {
  const axes = axesOf(call);
  if (numberOf(call, 'keepdims', 1) === 1 || axes.length === 0) return value;
  return call.graph.add('Unsqueeze', [value, call.graph.constant(int64s(axes))]);
}

/** 1 ÷ the number of elements that become one. */
function inverseCount(call: DerivativeCall): Value | number {
  const { graph, math, input, output, gradient } = call;
  const count = elementsOf(axesOf(call).map((axis) => input(0).shape[axis]!));
  if (typeof count === 'number') return 1 / count;
  const sizeOf = (value: Value): Value =>
    graph.add('Cast', [graph.add('ReduceProd', [graph.add('Shape', [value])], { keepdims: 0 })], { to: gradient.dtype });
  return math.div(sizeOf(output(0)), sizeOf(input(0)));
}

/** The greatest or least elements take the gradient; equal ones share it. */
const extreme: Derivative = (call) => {
  const { graph, math, input, output, gradient } = call;
  const mask = math.where(math.equal(input(0), kept(call, output(0))), 1, 0);
  const count = sumOver(graph, mask, axesOf(call), 1);
  return [math.mul(mask, math.div(kept(call, gradient), count))];
};

export const REDUCTION_DERIVATIVES = {
  ReduceSum: (call) => [expandLike(call.graph, kept(call, call.gradient), call.input(0))],
  ReduceMean(call) {
    const share = call.math.mul(call.gradient, inverseCount(call));
    return [expandLike(call.graph, kept(call, share), call.input(0))];
  },
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceL2: (call) => [call.math.mul(call.input(0), kept(call, call.math.div(call.gradient, call.output(0))))],
  ReduceSumSquare: (call) => [call.math.mul(call.input(0), kept(call, call.math.mul(call.gradient, 2)))],
  /** No element may be 0. */
  ReduceProd: (call) => [call.math.div(kept(call, call.math.mul(call.gradient, call.output(0))), call.input(0))],
  CumSum: (call) => [
    call.graph.add('CumSum', [call.gradient, call.input(1)], {
      exclusive: numberOf(call, 'exclusive', 0),
      reverse: 1 - numberOf(call, 'reverse', 0),
    }),
  ],
} as const satisfies Partial<Record<OperatorName, Derivative>>;
