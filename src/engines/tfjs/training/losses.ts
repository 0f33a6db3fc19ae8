import * as tf from '@tensorflow/tfjs-core';
import { countedIn } from '../../training/micro-batches.ts';
import type { Distillation, LossName, TrainerSpec, TrainingBatch, Values } from '../../training/trainer.ts';

/** Beyond this distance the Huber loss is linear (P. Huber, 1964). */
const HUBER_DELTA = 1;

/**
 * Cross-entropy of class indexes, from scores before softmax, where it is exact for large scores too. Its gradient is
 * weight · (softmax − one-hot) ÷ N. Of sequences each step counts alike, and one of the class −1 for nothing.
 * @param outputs [N, …, classes]
 */
function crossEntropy(outputs: tf.Tensor, classes: Int32Array, classWeights: readonly number[] | undefined): tf.Scalar {
  const width = outputs.shape.at(-1)!;
  const rows = outputs.size / width;
  if (classes.length !== rows) throw new Error(`the model gives ${rows} rows of scores for ${classes.length} classes`);
  const scores = tf.reshape(outputs, [rows, width]);
  const target = new Float32Array(rows * width);
  const count = countedIn({ shape: [rows], data: classes });
  for (const [row, index] of classes.entries()) if (index >= 0) target[row * width + index] = (classWeights?.[index] ?? 1) / count;
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(scores), tf.tensor2d(target, [rows, width]))));
}

/** No probability counts as less: the logarithm of 0 is none. */
const LEAST_PROBABILITY = 1e-30;

/** T² · KL(teacher ‖ model), the mean over the examples, each with the weight of its right class. */
function teacherLoss(
  scores: tf.Tensor,
  classes: Int32Array,
  teacher: Values,
  { temperature }: Distillation,
  classWeights: readonly number[] | undefined,
): tf.Scalar {
  const [count, width] = [classes.length, scores.shape.at(-1)!];
  const soft = tf.tensor2d(teacher.data as Float32Array, [count, width]);
  const weights = Float32Array.from(classes, (index) => ((classWeights?.[index] ?? 1) / count) * temperature ** 2);
  const own = tf.logSoftmax(tf.div(tf.reshape(scores, [count, width]), temperature));
  const divergence = tf.mul(soft, tf.sub(tf.log(tf.maximum(soft, LEAST_PROBABILITY)), own));
  return tf.sum(tf.mul(divergence, tf.tensor2d(weights, [count, 1])));
}

/** The mean loss of what the model gave, before softmax where there is one; with the teacher's part where there is one. */
export function lossOf(
  { loss, classWeights, distillation }: Pick<TrainerSpec, 'loss' | 'classWeights' | 'distillation'>,
  outputs: tf.Tensor,
  { target, teacher }: Pick<TrainingBatch, 'target' | 'teacher'>,
): tf.Scalar {
  if (loss !== 'cross-entropy') return valueLoss(loss, outputs, target);
  const classes = target.data as Int32Array;
  const right = crossEntropy(outputs, classes, classWeights);
  if (distillation === undefined || teacher === undefined) return right;
  const taught = teacherLoss(outputs, classes, teacher, distillation, classWeights);
  return tf.add(tf.mul(taught, distillation.weight), tf.mul(right, 1 - distillation.weight));
}

function valueLoss(name: Exclude<LossName, 'cross-entropy'>, outputs: tf.Tensor, target: Values): tf.Scalar {
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
