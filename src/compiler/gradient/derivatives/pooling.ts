import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { floats, int64s } from '../../graph/tensors.ts';
import { type Derivative, type DerivativeCall, intsOf, numberOf } from '../derivative.ts';
import { expandLike, sumOver } from '../shapes.ts';
import { padsOf, unreached, type Windows, windowsOf } from './windows.ts';

/** Less than any number that a model computes, and finite, so that its product with 0 is 0. */
const BELOW_ALL = -1e30;

function productOf(sizes: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

/** Whether the windows lie side by side and cover the input, so that each element is in one window. */
function tiles(windows: Windows, rest: readonly number[]): boolean {
  const { kernel, strides, dilations } = windows;
  const sideBySide = kernel.every((size, axis) => size === strides[axis] && (dilations[axis] === 1 || size === 1));
  return sideBySide && [...padsOf(windows), ...rest].every((size) => size === 0);
}

/** Each element once for every element of its window. */
function enlarge({ graph }: DerivativeCall, value: Value, factors: readonly number[]): Value {
  return graph.add('Resize', [value, undefined, graph.constant(floats([factors.length + 2], [1, 1, ...factors]))], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });
}

/** Windows of a pooling, and how far they are from the end of the input. */
function poolingOf(call: DerivativeCall): { windows: Windows; rest: readonly number[] } {
  if (numberOf(call, 'ceil_mode', 0) !== 0) call.fail('is not known for windows that reach beyond the input (ceil_mode)');
  const windows = windowsOf(call, intsOf(call, 'kernel_shape')!, call.input(0));
  return { windows, rest: unreached(call, windows, call.input(0), call.output(0)) };
}

function channelsOf(call: DerivativeCall): number {
  const channels = call.input(0).shape[1]!;
  return typeof channels === 'number' ? channels : call.fail('needs the number of channels to be known');
}

/** A kernel [channels · window, 1, …window] that puts each element of a window into a channel of its own. */
function separatingKernel(call: DerivativeCall, { kernel }: Windows): Value {
  const [channels, area] = [channelsOf(call), productOf(kernel)];
  const data = new Float32Array(channels * area * area);
  for (let row = 0; row < channels * area; row += 1) data[row * area + (row % area)] = 1;
  return call.graph.constant(floats([channels * area, 1, ...kernel], data));
}

/**
 * The greatest elements of each window take its gradient; equal ones share it. ONNX's indexes of the greatest with a
 * scatter were slower in ONNX Runtime.
 */
function maxPool(call: DerivativeCall): Value[] {
  const { graph, math, gradient, input, output } = call;
  const { windows, rest } = poolingOf(call);
  const [x, y] = [input(0), output(0)];
  if (tiles(windows, rest)) {
    const { kernel } = windows;
    const mask = math.where(math.equal(x, enlarge(call, y, kernel)), 1, 0);
    const count = math.mul(graph.add('AveragePool', [mask], { kernel_shape: kernel, strides: kernel }), productOf(kernel));
    return [math.mul(mask, enlarge(call, math.div(gradient, count), kernel))];
  }
  // Windows overlap: their elements are laid out as channels, and what these get is put back by the same kernel.
  const { kernel, strides, dilations } = windows;
  const [channels, area] = [channelsOf(call), productOf(kernel)];
  const separate = separatingKernel(call, windows);
  const window = { strides, dilations, group: channels };
  const axes = graph.constant(int64s(kernel.map((_size, axis) => axis + 2)));
  const paddings = graph.constant(int64s(padsOf(windows)));
  const padded = graph.add('Pad', [x, paddings, math.constant(BELOW_ALL), axes]);
  const elements = graph.add('Conv', [padded, separate], window);
  const space = y.shape.slice(2);
  if (!space.every((size) => typeof size === 'number'))
    return call.fail(`needs the sizes of its input to be known, not ${x.shape.join(', ')}`);
  const apart = graph.constant(int64s([-1, channels, area, ...space]));
  const alone = graph.constant(int64s([-1, channels, 1, ...space]));
  const mask = math.where(math.equal(graph.add('Reshape', [elements, apart]), graph.add('Reshape', [y, alone])), 1, 0);
  const share = math.div(graph.add('Reshape', [gradient, alone]), sumOver(graph, mask, [2], 1));
  const together = graph.add('Reshape', [math.mul(mask, share), graph.constant(int64s([-1, channels * area, ...space]))]);
  const back = graph.add('ConvTranspose', [together, separate], { ...window, output_padding: rest });
  const unpad = graph.constant(int64s(padsOf(windows).map((size) => -size)));
  return [graph.add('Pad', [back, unpad, undefined, axes])];
}

/** How many elements of the input are in each window along an axis. */
function countsAlong(windows: Windows, axis: number, size: number, count: number): number[] {
  return Array.from({ length: count }, (_window, index) => {
    const start = index * windows.strides[axis]! - windows.before[axis]!;
    const places = Array.from({ length: windows.kernel[axis]! }, (_place, at) => start + at * windows.dilations[axis]!);
    return places.filter((place) => place >= 0 && place < size).length;
  });
}

/** The number of elements that each window averages, [1, 1, …space]. */
function windowCounts(call: DerivativeCall, windows: Windows): Value | number {
  if (numberOf(call, 'count_include_pad', 0) === 1 || padsOf(windows).every((size) => size === 0)) return productOf(windows.kernel);
  const { graph, math, input, output } = call;
  return windows.kernel
    .map((_size, axis): Value => {
      const [size, count] = [input(0).shape[axis + 2]!, output(0).shape[axis + 2]!];
      if (typeof size !== 'number' || typeof count !== 'number') return call.fail(`needs the sizes of its input to be known, not ${size}`);
      const shape = windows.kernel.map((_other, other) => (other === axis ? count : 1));
      return graph.constant(floats([1, 1, ...shape], countsAlong(windows, axis, size, count)));
    })
    .reduce((product, counts) => math.mul(product, counts));
}

function averagePool(call: DerivativeCall): Value[] {
  const { graph, math, gradient } = call;
  const { windows, rest } = poolingOf(call);
  const share = math.div(gradient, windowCounts(call, windows));
  if (tiles(windows, rest)) return [enlarge(call, share, windows.kernel)];
  const { kernel, strides, dilations } = windows;
  const channels = channelsOf(call);
  const ones = graph.constant(floats([channels, 1, ...kernel], new Float32Array(channels * productOf(kernel)).fill(1)));
  const pads = padsOf(windows);
  return [graph.add('ConvTranspose', [share, ones], { strides, dilations, pads, group: channels, output_padding: rest })];
}

function spaceOf({ input }: DerivativeCall): number[] {
  return [...input(0).shape.keys()].slice(2);
}

function globalAveragePool(call: DerivativeCall): Value[] {
  const { graph, math, gradient, input } = call;
  const sizes = input(0).shape.slice(2);
  if (!sizes.every((size) => typeof size === 'number'))
    return call.fail(`needs the sizes of its input to be known, not ${sizes.join(', ')}`);
  return [expandLike(graph, math.mul(gradient, 1 / productOf(sizes)), input(0))];
}

function globalMaxPool(call: DerivativeCall): Value[] {
  const { graph, math, gradient, input, output } = call;
  const mask = math.where(math.equal(input(0), output(0)), 1, 0);
  return [math.mul(mask, math.div(gradient, sumOver(graph, mask, spaceOf(call), 1)))];
}

export const POOLING_DERIVATIVES = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
} as const satisfies Partial<Record<OperatorName, Derivative>>;
