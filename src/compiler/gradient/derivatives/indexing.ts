import type { Dimension } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { int64s } from '../../graph/tensors.ts';
import { axisOf, type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { expandLike } from '../shapes.ts';

/** Zeros of a value's shape, in a graph that need not know it. */
function zerosLike({ graph, math }: DerivativeCall, like: Value): Value {
  return expandLike(graph, math.constant(0), like);
}

/** Zeros to which a gradient is added at indexes along an axis; indexes of any rank stand in the axis's place, as in Gather. */
function scatterInto(call: DerivativeCall, gradient: Value, indices: Value, axis: number, zeros: Value): Value {
  const { graph } = call;
  const rank = zeros.shape.length;
  const depth = indices.shape.length;
  const places = graph.add('Unsqueeze', [indices, graph.constant(int64s([-1]))]);
  if (axis === 0) return graph.add('ScatterND', [zeros, places, gradient], { reduction: 'add' });
  // The axes of the indexes, or the axis that they name, to the front and back again.
  const front = Array.from({ length: depth }, (_axis, index) => axis + index);
  const rest = [...gradient.shape.keys()].filter((each) => each < axis || each >= axis + depth);
  const updates = graph.add('Transpose', [gradient], { perm: [...front, ...rest] });
  const others = [...zeros.shape.keys()].filter((each) => each !== axis);
  const base = graph.add('Transpose', [zeros], { perm: [axis, ...others] });
  const sum = graph.add('ScatterND', [base, places, updates], { reduction: 'add' });
  const back = Array.from({ length: rank }, (_axis, each) => [axis, ...others].indexOf(each));
  return graph.add('Transpose', [sum], { perm: back });
}

/** A gradient put at known places along an axis of a larger size. */
export function scatterAlong(
  call: DerivativeCall,
  gradient: Value,
  places: Value,
  { axis, size }: { readonly axis: number; readonly size: Dimension },
): Value {
  const { graph, math } = call;
  const whole = gradient.shape.with(axis, size);
  if (!whole.every((each) => typeof each === 'number')) return call.fail(`needs all sizes to be known, not ${whole.join(', ')}`);
  const zeros = graph.add('Expand', [math.constant(0), graph.constant(int64s(whole))]);
  return scatterInto(call, gradient, places, axis, zeros);
}

export const INDEXING_DERIVATIVES = {
  Gather(call) {
    const source = call.input(0);
    const axis = axisOf(numberOf(call, 'axis', 0), source.shape.length);
    return [scatterInto(call, call.gradient, call.input(1), axis, zerosLike(call, source))];
  },
  GatherElements(call) {
    const axis = numberOf(call, 'axis', 0);
    const zeros = zerosLike(call, call.input(0));
    return [call.graph.add('ScatterElements', [zeros, call.input(1), call.gradient], { axis, reduction: 'add' })];
  },
} as const satisfies Partial<Record<OperatorName, Derivative>>;
