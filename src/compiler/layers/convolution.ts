import type { Dimension } from '../graph/dimension.ts';
import type { Value } from '../graph/graph.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { axisOf, channelsFirst, inOwnOrder, rankOf, shapeOf } from '../lowering/layer-tensor.ts';
import { withActivation } from './activations.ts';

const FIRST = 'channels_first';

/** The order of axes in which ONNX computes on images: [batch, channels, …space]. */
export function imageOrder(call: LayerCall): readonly number[] {
  const rank = rankOf(call.input);
  return call.config.text('data_format', 'channels_last').toLowerCase() === FIRST ? inOwnOrder(rank) : channelsFirst(rank);
}

/** The size of the axis that holds the channels. */
function channelsOf(call: LayerCall): number {
  const channels = shapeOf(call.input)[imageOrder(call)[1]!]!;
  return typeof channels === 'number' ? channels : call.fail('the number of channels of its input must be known');
}

export interface WindowConfig {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: string;
}

interface WindowAttributes {
  readonly kernel_shape: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads?: readonly number[];
  readonly auto_pad?: string;
}

function isKnown(sizes: readonly (number | undefined)[]): sizes is number[] {
  return !sizes.includes(undefined);
}

/**
 * Windows as ONNX has them. `same` is written as numbers where the sizes of the input are known: TensorFlow pads so that
 * ⌈size / stride⌉ windows come out, the odd one behind.
 */
export function windowAttributes(
  call: LayerCall,
  { kernel, strides, dilations, padding }: WindowConfig,
  space: readonly Dimension[],
): WindowAttributes {
  const window = { kernel_shape: kernel, strides, dilations };
  const extents = kernel.map((size, axis) => (size - 1) * dilations[axis]! + 1);
  switch (padding) {
    case 'valid':
      return window;
    case 'causal':
      return { ...window, pads: [...extents.map((extent) => extent - 1), ...extents.map(() => 0)] };
    case 'same': {
      const totals: (number | undefined)[] = extents.map((extent, axis) => {
        const [size, stride] = [space[axis]!, strides[axis]!];
        if (stride === 1) return extent - 1;
        return typeof size === 'number' ? Math.max((Math.ceil(size / stride) - 1) * stride + extent - size, 0) : undefined;
      });
      // In three dimensions tfjs lets the padding become negative where windows leave gaps.
      if (kernel.length === 3 && extents.some((extent, axis) => extent < strides[axis]!))
        call.fail('with the padding "same" its windows must not be smaller than its strides');
      if (!isKnown(totals)) return { ...window, auto_pad: 'SAME_UPPER' };
      const before = totals.map((total) => Math.floor(total / 2));
      return { ...window, pads: [...before, ...totals.map((total, axis) => total - before[axis]!)] };
    }
    default:
      return call.fail(`the padding "${padding}" cannot be compiled; use "same" or "valid"`);
  }
}

/** The axes [space …, in, out] of a kernel of Keras as [out, in, …space]. */
export function outFirst(space: number): number[] {
  return [space + 1, space, ...inOwnOrder(space)];
}

export function windowOf(call: LayerCall, space: number): WindowConfig {
  const { config } = call;
  return {
    kernel: config.numbers('kernel_size', space),
    strides: config.numbers('strides', space, 1),
    dilations: config.numbers('dilation_rate', space, 1),
    padding: config.text('padding', 'valid').toLowerCase(),
  };
}

interface Convolution {
  readonly x: Value;
  readonly kernel: Value;
  readonly bias: Value | undefined;
  readonly window: WindowConfig;
  readonly group: number;
}

export function convolve(call: LayerCall, { x, kernel, bias, window, group }: Convolution): Value {
  const attributes = { ...windowAttributes(call, window, x.shape.slice(2)), group };
  return call.graph.add('Conv', bias === undefined ? [x, kernel] : [x, kernel, bias], attributes);
}

export function biasOf(call: LayerCall): Value | undefined {
  return call.config.boolean('use_bias', true) ? call.weight('bias') : undefined;
}

/** @param space how many axes the kernel moves along. */
const convolution =
  (space: number): LowerLayer =>
  (call) => {
    const order = imageOrder(call);
    const value = convolve(call, {
      x: call.arrange.ordered(call.input, order),
      kernel: call.weight('kernel', [{ transpose: outFirst(space) }]),
      bias: biasOf(call),
      window: windowOf(call, space),
      group: call.config.number('groups', 1),
    });
    return withActivation(call, { value, order });
  };

/** Keras' kernel of a depthwise convolution is [space …, channels, multiplier], ONNX wants [channels · multiplier, 1, …space]. */
function depthwiseKernel(call: LayerCall, space: number): Value {
  const { shape } = call.tensor('depthwise_kernel');
  const outputs = shape[space]! * shape[space + 1]!;
  return call.weight('depthwise_kernel', [
    { transpose: [space, space + 1, ...inOwnOrder(space)] },
    { reshape: [outputs, 1, ...shape.slice(0, space)] },
  ]);
}

const depthwise =
  (space: number): LowerLayer =>
  (call) => {
    const order = imageOrder(call);
    const window = windowOf(call, space);
    // tfjs does not hand the dilation to its kernel.
    if (window.dilations.some((dilation) => dilation !== 1))
      call.fail('tfjs does not heed "dilation_rate" in a depthwise convolution; it must be 1');
    const value = convolve(call, {
      x: call.arrange.ordered(call.input, order),
      kernel: depthwiseKernel(call, space),
      bias: biasOf(call),
      window,
      group: channelsOf(call),
    });
    return withActivation(call, { value, order });
  };

const separable =
  (space: number): LowerLayer =>
  (call) => {
    const order = imageOrder(call);
    const spread = convolve(call, {
      x: call.arrange.ordered(call.input, order),
      kernel: depthwiseKernel(call, space),
      bias: undefined,
      window: windowOf(call, space),
      group: channelsOf(call),
    });
    const ones = Array.from({ length: space }, () => 1);
    const value = convolve(call, {
      x: spread,
      kernel: call.weight('pointwise_kernel', [{ transpose: outFirst(space) }]),
      bias: biasOf(call),
      window: { kernel: ones, strides: ones, dilations: ones, padding: 'valid' },
      group: 1,
    });
    return withActivation(call, { value, order });
  };

/**
 * A transposed convolution gives what the gradient of a convolution by its input is: with `same`, size · stride elements,
 * of which a convolution with `same` would make the input; with `valid`, size · stride + max(kernel − stride, 0).
 */
const transposed =
  (space: number): LowerLayer =>
  (call) => {
    const order = imageOrder(call);
    const { kernel, strides, dilations, padding } = windowOf(call, space);
    if (dilations.some((dilation) => dilation !== 1))
      call.fail('tfjs does not heed "dilation_rate" in a transposed convolution; it must be 1');
    if (call.config.has('output_padding')) call.fail('tfjs does not heed "output_padding"; it must be left out');
    if (padding !== 'same' && padding !== 'valid') call.fail(`the padding "${padding}" cannot be compiled; use "same" or "valid"`);
    const surplus = kernel.map((size, axis) => size - strides[axis]!);
    // In two dimensions tfjs puts what is missing behind, in three half of it before.
    if (space === 3 && padding === 'same' && surplus.some((size) => size < 0))
      call.fail('with the padding "same" its windows must not be smaller than its strides');
    const totals = surplus.map((size) => (padding === 'same' ? Math.max(size, 0) : 0));
    const before = totals.map((total) => Math.floor(total / 2));
    const x = call.arrange.ordered(call.input, order);
    // Keras' kernel is [space …, out, in], so its last axis goes first here, too.
    const weights = call.weight('kernel', [{ transpose: outFirst(space) }]);
    const bias = biasOf(call);
    const value = call.graph.add('ConvTranspose', bias === undefined ? [x, weights] : [x, weights, bias], {
      kernel_shape: kernel,
      strides,
      pads: [...before, ...totals.map((total, axis) => total - before[axis]!)],
      output_padding: surplus.map((size) => Math.max(-size, 0)),
    });
    return withActivation(call, { value, order });
  };

export const CONVOLUTION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  Conv3D: convolution(3),
  DepthwiseConv1D: depthwise(1),
  DepthwiseConv2D: depthwise(2),
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Conv1DTranspose: transposed(1),
  Conv2DTranspose: transposed(2),
  Conv3DTranspose: transposed(3),
};

/** A space axis of Keras, counted from 0, as an axis of the value. */
export function spaceAxis(call: LayerCall, axis: number): number {
  const order = imageOrder(call);
  return axisOf(call.input, order[axis + 2]!);
}
