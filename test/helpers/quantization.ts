import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onnxEngine } from '../../src/engines/onnx/onnx-engine.ts';
import type { NamedTensors } from '../../src/tensor/tensor.ts';
import { randomNumbers } from './compiled-model.ts';
import { loadForTest } from './fixture-models.ts';
import { floatInitializer } from './onnx-model.ts';
import { accuracyOf, UNSEEN_COUNT, unseenImages, unseenLabels } from './unseen-digits.ts';

export const DIGITS = fileURLToPath(new URL('../../models/digits/1', import.meta.url));

/** The digits that ranges are taken from are not those that a result is judged by. */
const CALIBRATED = 50;

export const digitsCalibration: readonly NamedTensors[] = [new Map([['image', unseenImages(0, CALIBRATED)]])];

/** The first output of a model in ONNX Runtime. */
export async function runModel(folder: string, inputs: NamedTensors): Promise<Float32Array> {
  const model = await loadForTest(onnxEngine, folder, 'onnx');
  const [output] = model.signature.outputs;
  return (await model.run(inputs, [output!.name])).get(output!.name)!.data as Float32Array;
}

/** Share of the digits that a model knows, of those that ranges are not taken from. */
export async function digitsAccuracy(folder: string): Promise<number> {
  const judged = unseenImages(CALIBRATED, UNSEEN_COUNT - CALIBRATED);
  return accuracyOf(await runModel(folder, new Map([['image', judged]])), unseenLabels.slice(CALIBRATED));
}

export async function modelBytes(folder: string): Promise<number> {
  return (await stat(join(folder, 'model.onnx'))).size;
}

/** Random weights of a size that keeps values near 1. */
export function weights(name: string, dims: readonly number[], seed: number) {
  const count = dims.reduce((product, size) => product * size, 1);
  const inputs = dims.length > 1 ? count / dims[0]! : 4;
  return floatInitializer(
    name,
    dims,
    [...randomNumbers(count, seed)].map((value) => value / Math.sqrt(inputs / 3)),
  );
}

/** The largest difference of two results, relative to the largest number of the first. */
export function relativeDifference(expected: Float32Array, given: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - given[at]!)), 0) / largest;
}
