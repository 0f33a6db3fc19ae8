import { SlipwayError } from '../../errors/slipway-error.ts';
import type { InferenceResponse } from '../../inference/types.ts';
import type { ReadyVersion } from '../../registry/types.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';

export interface ScoredClass {
  /** Empty when the model does not name its classes. */
  readonly label: string;
  readonly score: number;
}

function mismatch(message: string): SlipwayError {
  return new SlipwayError('OUTPUT_MISMATCH', message);
}

function floatsOf({ dtype, data }: Tensor, what: string): Float32Array | Float64Array {
  if (dtype === 'FP32' || dtype === 'FP64') return data as Float32Array | Float64Array;
  throw mismatch(`The output "${what}" is ${dtype}; scores are floats.`);
}

/**
 * The output that classify and regress read: the one that the manifest names, else the model's only one.
 * @throws SlipwayError OUTPUT_MISMATCH
 */
export function scoredOutput({ signature, manifest, model }: ReadyVersion): string {
  const named = manifest.classification?.output;
  if (named !== undefined) return named;
  const [only, ...more] = signature.outputs;
  if (only !== undefined && more.length === 0) return only.name;
  throw mismatch(`Model "${model}" has ${signature.outputs.length} outputs; ask for them by predict.`);
}

/** Every class of each example with its score, in the order of the model. @throws SlipwayError OUTPUT_MISMATCH */
export function classesOf({ outputs }: InferenceResponse, output: string, labels: readonly string[] | undefined): ScoredClass[][] {
  const tensor = outputs.get(output)!;
  const [examples = 0, classes] = tensor.shape;
  if (tensor.shape.length !== 2 || classes === undefined)
    throw mismatch(`The output "${output}" is ${formatShape(tensor.shape)}; classes are [examples, classes].`);
  const scores = floatsOf(tensor, output);
  return Array.from({ length: examples }, (_example, row) =>
    Array.from(scores.subarray(row * classes, (row + 1) * classes), (score, index) => ({ label: labels?.[index] ?? '', score })),
  );
}

/** One value for each example. @throws SlipwayError OUTPUT_MISMATCH */
export function valuesOf({ outputs }: InferenceResponse, output: string): Float32Array | Float64Array {
  const tensor = outputs.get(output)!;
  const [, ...rest] = tensor.shape;
  if (tensor.shape.length === 0 || rest.some((size) => size !== 1)) {
    throw mismatch(`The output "${output}" is ${formatShape(tensor.shape)}; a regression is one value for each example.`);
  }
  return floatsOf(tensor, output);
}
