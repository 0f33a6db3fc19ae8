import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { activateBackend } from '../../src/engines/tfjs/backend.ts';
import { type Augmentation, augment } from './augment.ts';
import { CLASSES, type Digits, PIXELS, SIDE } from './dataset.ts';
import { registerFilterGradient } from '../../src/engines/tfjs/training/filter-gradient.ts';
import { createLenet } from './lenet.ts';
import { createRandom, shuffled } from '../../src/datasets/random.ts';

export interface Recipe {
  readonly seed: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Falls linearly to a tenth over the epochs. */
  readonly learningRate: number;
  readonly augmentation: Augmentation;
}

type Read = (source: Uint8Array, target: Float32Array) => void;

const asItIs: Read = (source, target) => target.forEach((_value, pixel) => (target[pixel] = source[pixel]! / 255));

/** Some images as the model reads them: values 0–1, [count, 28, 28, 1]. */
function imagesTensor({ images }: Digits, indexes: ArrayLike<number>, read: Read): tf.Tensor4D {
  const data = new Float32Array(indexes.length * PIXELS);
  for (let at = 0; at < indexes.length; at += 1) {
    const start = indexes[at]! * PIXELS;
    read(images.subarray(start, start + PIXELS), data.subarray(at * PIXELS, (at + 1) * PIXELS));
  }
  return tf.tensor4d(data, [indexes.length, SIDE, SIDE, 1]);
}

function labelsTensor({ labels }: Digits, indexes: ArrayLike<number>): tf.Tensor2D {
  const data = new Float32Array(indexes.length * CLASSES);
  for (let at = 0; at < indexes.length; at += 1) data[at * CLASSES + labels[indexes[at]!]!] = 1;
  return tf.tensor2d(data, [indexes.length, CLASSES]);
}

/** The model's probabilities for all of these digits, [count, 10]. */
export function probabilitiesOf(model: tfl.LayersModel, digits: Digits): Float32Array {
  return tf.tidy(() => {
    const indexes = Array.from(digits.labels, (_label, index) => index);
    return (model.predict(imagesTensor(digits, indexes, asItIs), { batchSize: 250 }) as tf.Tensor).dataSync() as Float32Array;
  });
}

/** The share of digits whose likeliest class is the right one. */
export function accuracyOf(probabilities: Float32Array, { labels }: Digits): number {
  let right = 0;
  for (const [index, label] of labels.entries()) {
    const row = probabilities.subarray(index * CLASSES, (index + 1) * CLASSES);
    if (row.indexOf(Math.max(...row)) === label) right += 1;
  }
  return right / labels.length;
}

/** tfjs reads the rate at each step but declares it unchangeable. */
function setLearningRate(optimizer: tf.AdamOptimizer, rate: number): void {
  (optimizer as unknown as { learningRate: number }).learningRate = rate;
}

/** Trains LeNet by Adam on cross-entropy, the batches drawn by the seed. */
export async function trainLenet(
  digits: Digits,
  { seed, epochs, batchSize, learningRate, augmentation }: Recipe,
  report: (line: string) => void,
): Promise<tfl.LayersModel> {
  const problem = await activateBackend('wasm');
  if (problem !== undefined) throw new Error(`tfjs's wasm backend is needed: ${problem}`);
  registerFilterGradient();
  const model = createLenet(seed);
  const optimizer = tf.train.adam(learningRate);
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  const random = createRandom(seed);
  const changed: Read = (source, target) => augment(source, target, augmentation, random);
  for (let epoch = 1; epoch <= epochs; epoch += 1) {
    const startedAt = performance.now();
    setLearningRate(optimizer, learningRate * (1 - (0.9 * (epoch - 1)) / Math.max(1, epochs - 1)));
    const order = shuffled(digits.labels.length, random);
    let loss = 0;
    for (let start = 0; start < order.length; start += batchSize) {
      const batch = order.subarray(start, start + batchSize);
      const x = imagesTensor(digits, batch, changed);
      const y = labelsTensor(digits, batch);
      loss += ((await model.trainOnBatch(x, y)) as number) * batch.length;
      tf.dispose([x, y]);
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    report(`epoch ${epoch}: loss ${(loss / order.length).toFixed(4)}, ${(order.length / seconds).toFixed(0)} images/s`);
  }
  return model;
}
