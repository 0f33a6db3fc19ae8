import type { GraphBuilder } from '../graph/builder.ts';
import type { Shape } from '../graph/dimension.ts';
import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';

/** Whether every size is a number. */
export function isKnown(shape: Shape): shape is readonly number[] {
  return shape.every((size) => typeof size === 'number');
}

/** The sizes of a value as a value. */
export function sizesOf(graph: GraphBuilder, like: Value): Value {
  return isKnown(like.shape) ? graph.constant(int64s(like.shape)) : graph.add('Shape', [like]);
}

/** A value in the shape of another one of as many elements. */
export function reshapeLike(graph: GraphBuilder, value: Value, like: Value): Value {
  return graph.add('Reshape', [value, sizesOf(graph, like)]);
}

/** A value broadcast to the shape of another one. */
export function expandLike(graph: GraphBuilder, value: Value, like: Value): Value {
  return graph.add('Expand', [value, sizesOf(graph, like)]);
}

export function sumOver(graph: GraphBuilder, value: Value, axes: readonly number[], keepdims: 0 | 1): Value {
  return axes.length === 0 ? value : graph.add('ReduceSum', [value, graph.constant(int64s(axes))], { keepdims });
}

/** Undoes a broadcast in a gradient: sums up the axes that were added or repeated. Sizes that are symbols count as not repeated. */
export function sumTo(graph: GraphBuilder, gradient: Value, { shape }: Value): Value {
  const added = gradient.shape.length - shape.length;
  const repeated: number[] = [];
  for (const [axis, size] of gradient.shape.entries()) if (axis >= added && shape[axis - added] === 1 && size !== 1) repeated.push(axis);
  const summed = sumOver(graph, gradient, repeated, 1);
  return sumOver(
    graph,
    summed,
    Array.from({ length: added }, (_axis, axis) => axis),
    0,
  );
}
