import {
  backend_util,
  type Conv2DBackpropInputAttrs,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  registerKernel,
  type Tensor4D,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

const KERNEL = 'Conv2DBackpropInput';
const BACKEND = 'wasm';

/**
 * The gradient of a convolution with stride 1 by its input is itself a convolution: of the output's gradient, padded by what
 * the filter reaches beyond it, with the filter turned by half a circle and its channels swapped.
 * @param dy [batch, outHeight, outWidth, outChannels]
 * @param filter [filterHeight, filterWidth, inChannels, outChannels]
 * @param before rows and columns that the convolution has padded at the start of its input
 * @returns [batch, height, width, inChannels]
 */
function inputGradient(
  dy: Tensor4D,
  filter: Tensor4D,
  [height, width]: readonly [number, number],
  before: readonly [number, number],
): Tensor4D {
  return tf.tidy(() => {
    const [filterHeight, filterWidth] = filter.shape;
    const [, outHeight, outWidth] = dy.shape;
    const top = filterHeight - 1 - before[0];
    const left = filterWidth - 1 - before[1];
    const padded = tf.pad(dy, [
      [0, 0],
      [top, height + filterHeight - 1 - outHeight - top],
      [left, width + filterWidth - 1 - outWidth - left],
      [0, 0],
    ]);
    const turned = tf.transpose<Tensor4D>(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
    return tf.conv2d(padded, turned, 1, 'valid');
  });
}

/**
 * Takes the place of the kernel of the wasm backend, which is several times slower, for convolutions with stride 1; others
 * are left to it.
 */
export function registerInputGradient(): void {
  const own = getKernel(KERNEL, BACKEND) as KernelConfig | undefined;
  if (own === undefined || own.kernelFunc === replacement) return;
  original = own.kernelFunc;
  unregisterKernel(KERNEL, BACKEND);
  registerKernel({ ...own, kernelFunc: replacement });
}

let original: KernelFunc | undefined;

const replacement: KernelFunc = (params) => {
  const { dy, filter } = params.inputs as { dy: Tensor4D; filter: Tensor4D };
  const { strides, pad, dataFormat, inputShape, dimRoundingMode } = params.attrs as unknown as Conv2DBackpropInputAttrs;
  const info = backend_util.computeConv2DInfo(inputShape, filter.shape, strides, 1, pad, dimRoundingMode);
  const { top, left } = info.padInfo;
  const fits = top < info.filterHeight && left < info.filterWidth;
  if (dataFormat !== 'NHWC' || info.strideHeight !== 1 || info.strideWidth !== 1 || !fits) return original!(params);
  return inputGradient(dy, filter, [info.inHeight, info.inWidth], [top, left]);
};
