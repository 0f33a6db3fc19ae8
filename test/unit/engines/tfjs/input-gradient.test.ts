import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients of the operators
import { describe, expect, it } from 'vitest';
import { activateBackend } from '../../../../src/engines/tfjs/backend.ts';
import { registerInputGradient } from '../../../../src/engines/tfjs/training/input-gradient.ts';

type Shape = [number, number, number, number];

/** The gradient of sum(conv2d(x, filter)²) by x, on one backend. */
async function gradientOn(
  backend: 'wasm' | 'cpu',
  input: Shape,
  filter: Shape,
  strides: number,
  pad: 'same' | 'valid',
): Promise<Float32Array> {
  expect(await activateBackend(backend)).toBeUndefined();
  registerInputGradient();
  return tf.tidy(() => {
    const x = tf.randomNormal<tf.Rank.R4>(input, 0, 1, 'float32', 1);
    const w = tf.randomNormal<tf.Rank.R4>(filter, 0, 1, 'float32', 2);
    const loss = (images: tf.Tensor4D): tf.Scalar => tf.sum(tf.square(tf.conv2d(images, w, strides, pad)));
    return tf
      .grad(loss as (x: tf.Tensor) => tf.Tensor)(x)
      .dataSync<'float32'>();
  });
}

describe('the input gradient for wasm', () => {
  it.each([
    [[2, 8, 8, 1], [5, 5, 1, 3], 1, 'same'],
    [[3, 9, 7, 2], [3, 3, 2, 4], 1, 'valid'],
    [[2, 6, 7, 3], [2, 4, 3, 2], 1, 'same'],
    [[2, 5, 5, 2], [1, 1, 2, 3], 1, 'valid'],
    [[2, 9, 8, 2], [3, 2, 2, 3], 2, 'same'],
  ] as const)('is that of the cpu backend for input %j, filter %j, stride %d, %s', async (input, filter, strides, pad) => {
    const expected = await gradientOn('cpu', [...input], [...filter], strides, pad);
    const found = await gradientOn('wasm', [...input], [...filter], strides, pad);
    expect(found).toHaveLength(expected.length);
    for (const [index, value] of expected.entries())
      expect(Math.abs(found[index]! - value)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(value)));
  });

  it('leaves no tensor behind', async () => {
    await gradientOn('wasm', [1, 6, 6, 1], [3, 3, 1, 1], 1, 'same');
    const { numTensors, numDataBuffers } = tf.memory();
    await gradientOn('wasm', [1, 6, 6, 1], [3, 3, 1, 1], 1, 'same');
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers });
  });
});
