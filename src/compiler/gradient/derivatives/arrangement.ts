import { quotient, type Shape } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { int64s } from '../../graph/tensors.ts';
import { axisOf, constantIntsOf, type Derivative, type DerivativeCall, intsOf, numberOf } from '../derivative.ts';
import { isKnown, reshapeLike, sumOver } from '../shapes.ts';
import { scatterAlong } from './indexing.ts';

const reshaped: Derivative = ({ graph, gradient, input }) => [reshapeLike(graph, gradient, input(0))];

function concat(call: DerivativeCall): readonly Value[] {
  const { graph, gradient, inputs } = call;
  const axis = axisOf(call.attributes['axis'] as number, gradient.shape.length);
  const sizes = inputs.map((input) => input!.shape[axis]!);
  if (sizes.every((size) => size === sizes[0])) return graph.addAll('Split', [gradient], { axis, num_outputs: sizes.length });
  if (!isKnown(sizes)) return call.fail(`needs the sizes along the axis ${axis} to be known or equal, not ${sizes.join(', ')}`);
  return graph.addAll('Split', [gradient, graph.constant(int64s(sizes))], { axis });
}

function split(call: DerivativeCall): readonly (Value | undefined)[] {
  const { graph, math, input, output, gradientOf } = call;
  const axis = axisOf(numberOf(call, 'axis', 0), input(0).shape.length);
  const count = constantIntsOf(call, 1)?.length ?? numberOf(call, 'num_outputs', 1);
  const parts = Array.from({ length: count }, (_part, index) => gradientOf(index) ?? math.mul(output(index), 0));
  return [graph.add('Concat', parts, { axis })];
}

/** A slice in steps of one is undone by padding, any other by putting each element at its place. */
function slice(call: DerivativeCall): readonly (Value | undefined)[] {
  const { graph, gradient, input } = call;
  const { shape } = input(0);
  const starts = constantIntsOf(call, 1)!;
  const axes = (constantIntsOf(call, 3) ?? [...starts.keys()]).map((axis) => axisOf(axis, shape.length));
  const steps = constantIntsOf(call, 4) ?? starts.map(() => 1);
  let result = gradient;
  for (const [index, axis] of axes.entries()) {
    const [size, taken, step] = [shape[axis]!, gradient.shape[axis]!, steps[index]!];
    // All of an axis, from its end to its start.
    if (step === -1 && size === taken) {
      const whole = [[-1], [-(2 ** 40)], [axis], [-1]].map((numbers) => graph.constant(int64s(numbers)));
      result = graph.add('Slice', [result, ...whole]);
      continue;
    }
    if (typeof size !== 'number' || typeof taken !== 'number')
      return call.fail(`needs the size of the axis ${axis} to be known, not ${size}`);
    const start = starts[index]! < 0 ? starts[index]! + size : starts[index]!;
    const first = Math.min(Math.max(start, 0), step > 0 ? size : size - 1);
    if (step === 1) {
      const pads = [first, size - first - taken];
      if (pads.some((pad) => pad > 0))
        result = graph.add('Pad', [result, graph.constant(int64s(pads)), undefined, graph.constant(int64s([axis]))]);
    } else {
      const places = Array.from({ length: taken }, (_place, at) => first + at * step);
      result = scatterAlong(call, result, graph.constant(int64s(places)), { axis, size });
    }
  }
  return [result];
}

function pad(call: DerivativeCall): readonly Value[] {
  const { graph, gradient, inputs } = call;
  if (((call.attributes['mode'] as string | undefined) ?? 'constant') !== 'constant')
    return call.fail('is known for constant padding only');
  const pads = graph.constant(int64s(constantIntsOf(call, 1)!.map((size) => -size)));
  return [graph.add('Pad', inputs[3] === undefined ? [gradient, pads] : [gradient, pads, undefined, inputs[3]])];
}

/** Each axis of size r · n as two, so that the repeats can be summed up. */
function tile(call: DerivativeCall): readonly Value[] {
  const { graph, gradient, input } = call;
  const repeats = constantIntsOf(call, 1)!;
  const { shape } = input(0);
  const open = shape.findIndex((size) => typeof size === 'string');
  const sizes = shape.flatMap((size, axis) => [repeats[axis]!, axis === open ? -1 : size]);
  if (!isKnown(sizes)) return call.fail(`needs all sizes but one to be known, not ${shape.join(', ')}`);
  const apart = graph.add('Reshape', [gradient, graph.constant(int64s(sizes))]);
  const summed = sumOver(
    graph,
    apart,
    shape.map((_size, axis) => 2 * axis),
    0,
  );
  return [reshapeLike(graph, summed, input(0))];
}

/** Whole-numbered enlargement by the nearest element: each element takes what its copies get. */
function resize(call: DerivativeCall): readonly Value[] {
  const { graph, math, gradient, input, attributes } = call;
  const space = input(0).shape.slice(2);
  const factors: Shape = space.map((size, axis) => quotient([gradient.shape[axis + 2]!], [size]) ?? 'unknown');
  const nearest = (attributes['mode'] ?? 'nearest') === 'nearest';
  if (!nearest || !isKnown(factors) || gradient.shape.slice(0, 2).some((size, axis) => size !== input(0).shape[axis]))
    return call.fail('is known for the nearest element and whole factors along the axes of space only');
  const area = factors.reduce<number>((product, factor) => product * factor, 1);
  return [math.mul(graph.add('AveragePool', [gradient], { kernel_shape: factors, strides: factors }), area)];
}

export const ARRANGEMENT_DERIVATIVES = {
  Reshape: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose(call) {
    const rank = call.input(0).shape.length;
    const permutation = intsOf(call, 'perm') ?? Array.from({ length: rank }, (_axis, axis) => rank - 1 - axis);
    return [call.graph.add('Transpose', [call.gradient], { perm: permutation.map((_axis, axis) => permutation.indexOf(axis)) })];
  },
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  /** What an axis was repeated for is summed up by the walk itself. */
  Expand: ({ gradient }) => [gradient],
  Tile: tile,
  Resize: resize,
  ReverseSequence: (call) => [
    call.graph.add('ReverseSequence', [call.gradient, call.input(1)], {
      batch_axis: numberOf(call, 'batch_axis', 1),
      time_axis: numberOf(call, 'time_axis', 0),
    }),
  ],
  Trilu: (call) => [call.graph.add('Trilu', [call.gradient], { upper: numberOf(call, 'upper', 1) })],
} as const satisfies Partial<Record<OperatorName, Derivative>>;
