import { type Dimension, elementsOf } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { floats, int64, int64s } from '../../graph/tensors.ts';
import { axisOf, type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { expandLike, reshapeLike } from '../shapes.ts';

/** Zeros of a value's shape, in a graph that need not know it. */
function zerosLike({ graph, math }: DerivativeCall, like: Value): Value {
  return expandLike(graph, math.constant(0), like);
}

/** Rows up to which a product with a one-hot matrix takes less time than adding one by one (measured with ONNX Runtime 1.30). */
const MOST_ONE_HOT = 64;

/**
 * The sums of those of some rows that have the same index: [size, width]. Not by ScatterND, which in ONNX Runtime loses sums
 * at equal indexes with several threads.
 * @param flat the index of each row, INT64
 */
function summedAt({ graph, math }: DerivativeCall, flat: Value, rows: Value, size: number): Value {
  if (size <= MOST_ONE_HOT) {
    const hot = graph.add('OneHot', [flat, graph.constant(int64(size)), graph.constant(floats([2], [0, 1]))], { axis: 0 });
    return graph.add('MatMul', [graph.add('Cast', [hot], { to: rows.dtype }), rows]);
  }
  const width = graph.add('Slice', [graph.add('Shape', [rows]), graph.constant(int64s([1])), graph.constant(int64s([2]))]);
  const zeros = graph.add('Expand', [math.constant(0), graph.add('Concat', [graph.constant(int64s([size])), width], { axis: 0 })]);
  const spread = graph.add('Expand', [graph.add('Unsqueeze', [flat, graph.constant(int64s([1]))]), graph.add('Shape', [rows])]);
  return graph.add('ScatterElements', [zeros, spread, rows], { axis: 0, reduction: 'add' });
}

/** Zeros to which a gradient is added at indexes along an axis; indexes of any rank stand in the axis's place, as in Gather. */
function addAt(
  call: DerivativeCall,
  gradient: Value,
  indices: Value,
  { axis, zeros }: { readonly axis: number; readonly zeros: Value },
): Value {
  const { graph } = call;
  const depth = indices.shape.length;
  const size = zeros.shape[axis]!;
  if (typeof size !== 'number') return call.fail(`needs the size of the axis ${axis} to be known, not ${size}`);
  const flat = graph.add('Cast', [graph.add('Reshape', [indices, graph.constant(int64s([-1]))])], { to: 'INT64' });
  // The axes of the indexes, or the axis that they name, to the front and back again.
  const front = Array.from({ length: depth }, (_axis, index) => axis + index);
  const rest = [...gradient.shape.keys()].filter((each) => each < axis || each >= axis + depth);
  const updates = graph.add('Transpose', [gradient], { perm: [...front, ...rest] });
  const [count, width] = [elementsOf(indices.shape), elementsOf(rest.map((each) => gradient.shape[each]!))];
  if (typeof count !== 'number' && typeof width !== 'number')
    return call.fail('needs the number of indexes, or the size of what they name');
  const sizes = typeof width === 'number' ? [-1, width] : [count as number, -1];
  const rows = graph.add('Reshape', [updates, graph.constant(int64s(sizes))]);
  const sums = summedAt(call, flat, rows, size);
  const others = [...zeros.shape.keys()].filter((each) => each !== axis);
  const order = [axis, ...others];
  const whole = reshapeLike(graph, sums, graph.add('Transpose', [zeros], { perm: order }));
  return graph.add('Transpose', [whole], { perm: order.map((_axis, each) => order.indexOf(each)) });
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
  return addAt(call, gradient, places, { axis, zeros });
}

export const INDEXING_DERIVATIVES = {
  Gather(call) {
    const source = call.input(0);
    const axis = axisOf(numberOf(call, 'axis', 0), source.shape.length);
    return [addAt(call, call.gradient, call.input(1), { axis, zeros: zerosLike(call, source) })];
  },
  GatherElements(call) {
    const axis = numberOf(call, 'axis', 0);
    const zeros = zerosLike(call, call.input(0));
    return [call.graph.add('ScatterElements', [zeros, call.input(1), call.gradient], { axis, reduction: 'add' })];
  },
} as const satisfies Partial<Record<OperatorName, Derivative>>;
