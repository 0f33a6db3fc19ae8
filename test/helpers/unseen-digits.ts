import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { encodeEvaluation } from '../../scripts/digits/evaluation.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { SIDE } from './digits.ts';

const PIXELS = SIDE * SIDE;

/** Digits that the bundled model was not trained on: for each a byte with its label, then its grey levels. */
const unseen = gunzipSync(readFileSync(fileURLToPath(new URL('../fixtures/digits/unseen.bin.gz', import.meta.url))));

export const UNSEEN_COUNT = unseen.length / (PIXELS + 1);

export const unseenLabels: readonly number[] = Array.from({ length: UNSEEN_COUNT }, (_digit, index) => unseen[index * (PIXELS + 1)]!);

/** Some of them as the model takes them: FP32 [count, 1, 28, 28], 0 to 1. */
export function unseenImages(start: number, count: number): Tensor {
  const data = Float32Array.from({ length: count * PIXELS }, (_pixel, at) => {
    const index = start + Math.floor(at / PIXELS);
    return unseen[index * (PIXELS + 1) + 1 + (at % PIXELS)]! / 255;
  });
  return { dtype: 'FP32', shape: [count, 1, SIDE, SIDE], data };
}

/** Share of rows whose likeliest class is the label. */
export function accuracyOf(scores: Float32Array, labels: readonly number[]): number {
  const classes = scores.length / labels.length;
  const right = labels.filter((label, index) => {
    const row = scores.subarray(index * classes, (index + 1) * classes);
    return row.indexOf(Math.max(...row)) === label;
  });
  return right.length / labels.length;
}

/** All of them as NumPy's npz: `image` and `label`. */
export function unseenDigits(): Buffer<ArrayBuffer> {
  const starts = unseenLabels.map((_label, index) => index * (PIXELS + 1) + 1);
  return encodeEvaluation({
    images: Buffer.concat(starts.map((start) => unseen.subarray(start, start + PIXELS))),
    labels: Uint8Array.from(unseenLabels),
  });
}
