import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { activateBackend } from '../../src/engines/tfjs/backend.ts';
import { CLASSES, type Digits, PIXELS, SIDE } from './dataset.ts';
import { registerFilterGradient } from './filter-gradient.ts';
import { createLenet } from './lenet.ts';
import { createRandom, shuffled } from './random.ts';

export interface Recipe {
  readonly seed: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** The grey levels of some images as the model reads them: 0–1, [count, 28, 28, 1]. */
function imagesTensor({ images }: Digits, indexes: ArrayLike<number>): tf.Tensor4D {
  const data = new Float32Array(indexes.length * PIXELS);
  for (let at = 0; at < indexes.length; at += 1) {
    const start = indexes[at]! * PIXELS;
    for (let pixel = 0; pixel < PIXELS; pixel += 1) data[at * PIXELS + pixel] = images[start + pixel]! / 255;
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
    return (model.predict(imagesTensor(digits, indexes), { batchSize: 250 }) as tf.Tensor).dataSync() as Float32Array;
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

/** Trains LeNet by Adam on cross-entropy, the batches drawn by the seed. */
export async function trainLenet(digits: Digits, { seed, epochs, batchSize, learningRate }: Recipe, report: (line: string) => void): Promise<tfl.LayersModel> {
  const problem = await activateBackend('wasm');
  if (problem !== undefined) throw new Error(`tfjs's wasm backend is needed: ${problem}`);
  registerFilterGradient();
  const model = createLenet(seed);
  model.compile({ optimizer: tf.train.adam(learningRate), loss: 'categoricalCrossentropy' });
  const random = createRandom(seed);
  for (let epoch = 1; epoch <= epochs; epoch += 1) {
    const startedAt = performance.now();
    const order = shuffled(digits.labels.length, random);
    let loss = 0;
    for (let start = 0; start < order.length; start += batchSize) {
      const batch = order.subarray(start, start + batchSize);
      const x = imagesTensor(digits, batch);
      const y = labelsTensor(digits, batch);
      loss += ((await model.trainOnBatch(x, y)) as number) * batch.length;
      tf.dispose([x, y]);
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    report(`epoch ${epoch}: loss ${(loss / order.length).toFixed(4)}, ${(order.length / seconds).toFixed(0)} images/s`);
  }
  return model;
}
