import { type KernelConfig, registerKernel, util } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Sums rows by the segment that each belongs to: the gradient of a gather, and so of an embedding. wasm lacks it.
 * Computed in JavaScript, since it is no more than additions along memory.
 */
const config: KernelConfig = {
  kernelName: 'UnsortedSegmentSum',
  backendName: 'wasm',
  kernelFunc: ({ inputs, attrs }) => {
    const { x, segmentIds } = inputs as { x: tf.Tensor; segmentIds: tf.Tensor };
    const { numSegments } = attrs as { numSegments: number };
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
    const width = util.sizeFromShape(shape) / numSegments;
    const rows = x.dataSync<'float32'>();
    const segments = segmentIds.dataSync<'int32'>();
    const sums = new Float32Array(numSegments * width);
    for (let row = 0; row < segments.length; row += 1) {
      const segment = segments[row]!;
      if (segment < 0) continue; // as TensorFlow: dropped
      for (let at = 0; at < width; at += 1) sums[segment * width + at] = sums[segment * width + at]! + rows[row * width + at]!;
    }
    return tf.tensor(sums, shape, 'float32');
  },
};

export function registerSegmentSum(): void {
  registerKernel(config);
}
