import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients of the operators
import { messageOf } from '../../errors/slipway-error.ts';
import { FOLDER_VARIABLE } from '../../native/installation.ts';
import { openTensorFlow } from '../tensorflow/binding.ts';
import { startTensorFlow } from './tensorflow-backend.ts';

/*
 * The program that `slipway native install` tries an installation with: it predicts with a small network, whose answer
 * is known, takes a gradient, and prints what it ran on.
 */

/** A dense layer with ReLU: [1, 2] · [[1, −1], [2, 1]] + [0.5, −3] = [5.5, −2] → [5.5, 0]. */
function predict(x: tf.Tensor): tf.Tensor {
  return tf.relu(tf.add(tf.matMul(x as tf.Tensor2D, tf.tensor2d([1, -1, 2, 1], [2, 2])), tf.tensor1d([0.5, -3])));
}

async function attempt(): Promise<string> {
  const options = { tensorflowFolder: process.env[FOLDER_VARIABLE] };
  const { binding, device } = openTensorFlow(options);
  tf.enableProdMode();
  if (!(await startTensorFlow(options))) throw new Error('the backend does not start');
  const x: tf.Tensor = tf.tensor2d([1, 2], [1, 2]);
  const answer = [...predict(x).dataSync()].join(', ');
  if (answer !== '5.5, 0') throw new Error(`the prediction is [${answer}] instead of [5.5, 0]`);
  const slope = tf.grad((each: tf.Tensor) => tf.sum<tf.Tensor>(predict(each)));
  const gradient = [...slope(x).dataSync()].join(', ');
  if (gradient !== '1, 2') throw new Error(`the gradient is [${gradient}] instead of [1, 2]`);
  return JSON.stringify({ version: binding.TF_Version, device });
}

try {
  process.stdout.write(`${await attempt()}\n`);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
