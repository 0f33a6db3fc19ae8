import type { DType } from '../../../tensor/dtype.ts';
import type { Dimension } from '../dimension.ts';
import { axisIn, defineOperator, integersOf } from '../operator.ts';

/** Reduces the axes of the second input, all when there is none. `keepdims` is 1 unless said otherwise. */
const reduction = defineOperator({
  arity: [1, 2],
  attributes: { keepdims: 'int', noop_with_empty_axes: 'int' },
  infer(call) {
    const { dtype, shape } = call.input(0);
    const axes = integersOf(call, 1, 'axes');
    if (axes?.length === 0 && call.attributes.noop_with_empty_axes === 1) return [{ dtype, shape }];
    const all = axes === undefined || axes.length === 0;
    const reduced = new Set((all ? [...shape.keys()] : axes).map((axis) => axisIn(call, axis, shape.length)));
    return [{ dtype, shape: reduce(shape, reduced, call.attributes.keepdims) }];
  },
});

function reduce(shape: readonly Dimension[], reduced: ReadonlySet<number>, keepdims: number | undefined): Dimension[] {
  if (keepdims === 0) return shape.filter((_dimension, axis) => !reduced.has(axis));
  return shape.map((dimension, axis) => (reduced.has(axis) ? 1 : dimension));
}

const position = defineOperator({
  arity: [1, 1],
  attributes: { axis: 'int', keepdims: 'int', select_last_index: 'int' },
  infer(call) {
    const { shape } = call.input(0);
    const axis = axisIn(call, call.attributes.axis ?? 0, shape.length);
    const dtype: DType = 'INT64';
    return [{ dtype, shape: reduce(shape, new Set([axis]), call.attributes.keepdims) }];
  },
});

export const REDUCTION = {
  ReduceL2: reduction,
  ReduceMax: reduction,
  ReduceMean: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSum: reduction,
  ReduceSumSquare: reduction,
  ArgMax: position,
  ArgMin: position,

  /** Sums up along the axis that the second input names. */
  CumSum: defineOperator({
    arity: [2, 2],
    attributes: { exclusive: 'int', reverse: 'int' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      for (const axis of integersOf(call, 1, 'axis') ?? []) axisIn(call, axis, shape.length);
      return [{ dtype, shape }];
    },
  }),
} as const;
