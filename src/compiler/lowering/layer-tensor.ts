import { type Dimension, elementsOf, type Shape } from '../graph/dimension.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';

/*
 * What layers hand to each other. A layer thinks in the order of axes that Keras has, [batch, height, width, channels];
 * in the graph the axes may stand in another order, that in which the operators of ONNX want them. The order travels with
 * the value, and axes are moved only where a layer needs them in another one. So an image is transposed at the first
 * convolution, and the next transpose comes where the channels are needed last, if ever.
 */

/** Which steps of a sequence count: BOOL, [batch, time]. */
export type Mask =
  | { readonly value: Value }
  /** The layers' own runtime makes something here that later layers cannot use; the reason goes into the message. */
  | { readonly unclear: string };

export interface LayerTensor {
  readonly value: Value;
  /** The axis of Keras that each axis of the value is. */
  readonly order: readonly number[];
  /** The last axis holds the elements of a grid, which was flattened in this order and not in that of its sizes. */
  readonly flattened?: { readonly sizes: readonly number[]; readonly order: readonly number[] } | undefined;
  readonly mask?: Mask | undefined;
}

export function inOwnOrder(rank: number): number[] {
  return Array.from({ length: rank }, (_axis, index) => index);
}

/** The order [batch, channels, …space] of ONNX for a tensor of Keras' [batch, …space, channels]. */
export function channelsFirst(rank: number): number[] {
  return [0, rank - 1, ...inOwnOrder(rank).slice(1, -1)];
}

export function isSameOrder(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((axis, index) => axis === other[index]);
}

/** The shape as Keras has it. */
export function shapeOf({ value, order }: LayerTensor): Shape {
  const shape: Dimension[] = [];
  for (const [index, axis] of order.entries()) shape[axis] = value.shape[index]!;
  return shape;
}

export function rankOf({ order }: LayerTensor): number {
  return order.length;
}

/** An axis of Keras, which may be negative, as the axis of the value. */
export function axisOf({ order }: LayerTensor, axis: number): number {
  return order.indexOf(axis < 0 ? axis + order.length : axis);
}

/** A tensor whose value has the axes in Keras' own order. */
export function plain(value: Value, mask?: Mask): LayerTensor {
  return { value, order: inOwnOrder(value.shape.length), mask };
}

/** Moves axes, once for each value and order. */
export interface Arranger {
  /** The value with its axes in an order. */
  ordered(tensor: LayerTensor, order: readonly number[]): Value;
  /** The value in Keras' own order. */
  plain(tensor: LayerTensor): Value;
}

export function createArranger(graph: GraphBuilder): Arranger {
  const known = new Map<Value, Map<string, Value>>();

  function once(value: Value, what: string, make: () => Value): Value {
    const made = known.get(value) ?? new Map<string, Value>();
    known.set(value, made);
    const result = made.get(what) ?? make();
    made.set(what, result);
    return result;
  }

  /** A flattened grid in the order of its own sizes. */
  function unscrambled({ value, flattened }: LayerTensor): Value {
    if (flattened === undefined) return value;
    return once(value, 'unscrambled', () => {
      const { sizes, order } = flattened;
      const grid = graph.add('Reshape', [value, graph.constant(int64s([0, ...order.map((axis) => sizes[axis]!)]))]);
      const back = sizes.map((_size, axis) => order.indexOf(axis) + 1);
      const moved = graph.add('Transpose', [grid], { perm: [0, ...back] });
      return graph.add('Reshape', [moved, graph.constant(int64s([0, elementsOf(sizes) as number]))]);
    });
  }

  function ordered(tensor: LayerTensor, order: readonly number[]): Value {
    const value = unscrambled(tensor);
    if (isSameOrder(tensor.order, order)) return value;
    const perm = order.map((axis) => tensor.order.indexOf(axis));
    return once(value, perm.join(), () => graph.add('Transpose', [value], { perm }));
  }

  return { ordered, plain: (tensor) => ordered(tensor, inOwnOrder(tensor.order.length)) };
}
