import * as tf from '@tensorflow/tfjs-core';
import type { LossName, Values } from '../../training/trainer.ts';

/** Beyond this distance the Huber loss is linear (P. Huber, 1964). */
const HUBER_DELTA = 1;

/**
 * Cross-entropy of class indexes, from scores before softmax, where it is exact for large scores too. Its gradient is
 * weight · (softmax − one-hot) ÷ N. Of sequences each step counts alike.
 * @param outputs [N, …, classes]
 */
function crossEntropy(outputs: tf.Tensor, classes: Int32Array, classWeights: readonly number[] | undefined): tf.Scalar {
  const width = outputs.shape.at(-1)!;
  const count = outputs.size / width;
  if (classes.length !== count) throw new Error(`the model gives ${count} rows of scores for ${classes.length} classes`);
  const scores = tf.reshape(outputs, [count, width]);
  const target = new Float32Array(count * width);
  for (const [row, index] of classes.entries()) target[row * width + index] = (classWeights?.[index] ?? 1) / count;
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(scores), tf.tensor2d(target, [count, width]))));
}

/** The mean loss of what the model gave, before softmax where there is one. */
export function lossOf(name: LossName, outputs: tf.Tensor, target: Values, classWeights: readonly number[] | undefined): tf.Scalar {
  if (name === 'cross-entropy') return crossEntropy(outputs, target.data as Int32Array, classWeights);
  const difference = tf.sub(outputs, tf.tensor(target.data as Float32Array, [...target.shape], 'float32'));
  switch (name) {
    case 'mean-squared-error':
      return tf.mean(tf.square(difference));
    case 'mean-absolute-error':
      return tf.mean(tf.abs(difference));
    case 'huber': {
      const size = tf.abs(difference);
      const near = tf.minimum(size, HUBER_DELTA);
      // ½d² within δ, δ(|d| − ½δ) beyond.
      return tf.mean(tf.add(tf.mul(tf.square(near), 0.5), tf.mul(tf.sub(size, near), HUBER_DELTA)));
    }
  }
}
