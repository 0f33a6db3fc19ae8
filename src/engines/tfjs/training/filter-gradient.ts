import {
  type Conv2DBackpropFilterAttrs,
  type Conv2DBackpropFilterInputs,
  type KernelConfig,
  registerKernel,
  type Tensor4D,
} from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

interface Padding {
  readonly before: [number, number];
  readonly after: [number, number];
}

/** The padding of `same` and `valid` convolutions, as TensorFlow divides it: the odd pixel goes to the end. */
function paddingOf(
  pad: unknown,
  input: readonly number[],
  output: readonly number[],
  filter: readonly number[],
  strides: readonly number[],
): Padding {
  if (pad === 'valid') return { before: [0, 0], after: [0, 0] };
  if (typeof pad === 'number') return { before: [pad, pad], after: [pad, pad] };
  if (pad !== 'same') throw new Error('explicit padding is not needed here');
  const total = [0, 1].map((axis) => Math.max(0, (output[axis]! - 1) * strides[axis]! + filter[axis]! - input[axis]!));
  const before = total.map((each) => Math.floor(each / 2));
  return { before: before as [number, number], after: total.map((each, axis) => each - before[axis]!) as [number, number] };
}

/**
 * The gradient of a convolution by its filter, which is itself a convolution: the input, padded and with batch and
 * channels swapped, is convolved with the output's gradient, whose elements lie apart by the stride.
 * @param x [batch, height, width, inChannels]
 * @param dy [batch, outHeight, outWidth, outChannels]
 * @returns [filterHeight, filterWidth, inChannels, outChannels]
 */
function filterGradient(
  x: Tensor4D,
  dy: Tensor4D,
  filterShape: readonly [number, number, number, number],
  strides: [number, number],
  pad: unknown,
): Tensor4D {
  return tf.tidy(() => {
    const [filterHeight, filterWidth, inChannels, outChannels] = filterShape;
    const { before, after } = paddingOf(pad, x.shape.slice(1, 3), dy.shape.slice(1, 3), filterShape, strides);
    const padded = tf.pad(x, [
      [0, 0],
      [before[0], after[0]],
      [before[1], after[1]],
      [0, 0],
    ]);
    const images = tf.transpose<Tensor4D>(padded, [3, 1, 2, 0]);
    const filters = tf.transpose<Tensor4D>(dy, [1, 2, 0, 3]);
    const gradient = tf.conv2d(images, filters, 1, 'valid', 'NHWC', strides);
    // A stride that does not divide the input leaves rows that no filter element met.
    const whole = tf.slice(gradient, [0, 0, 0, 0], [inChannels, filterHeight, filterWidth, outChannels]);
    return tf.transpose<Tensor4D>(whole, [1, 2, 0, 3]);
  });
}

const config: KernelConfig = {
  kernelName: 'Conv2DBackpropFilter',
  backendName: 'wasm',
  kernelFunc: ({ inputs, attrs }) => {
    // The engine hands kernels the tensors themselves.
    const { x, dy } = inputs as Required<Conv2DBackpropFilterInputs>;
    const { strides, pad, dataFormat, filterShape } = attrs as unknown as Conv2DBackpropFilterAttrs;
    if (dataFormat !== 'NHWC') throw new Error(`the data format ${dataFormat} is not needed here`);
    const [strideHeight, strideWidth] = typeof strides === 'number' ? [strides, strides] : strides;
    return filterGradient(x as Tensor4D, dy as Tensor4D, filterShape, [strideHeight, strideWidth], pad);
  },
};

/** Gives the wasm backend the one gradient kernel that it lacks for training convolutions. */
export function registerFilterGradient(): void {
  registerKernel(config);
}
