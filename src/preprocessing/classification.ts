import { SlipwayError } from '../errors/slipway-error.ts';
import type { Classification } from '../packages/manifest.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface ClassProbability {
  readonly label: string;
  readonly probability: number;
}

/** What a classifier says of one example: its likeliest class, and the few likeliest in order. */
export interface Prediction extends ClassProbability {
  readonly top: readonly ClassProbability[];
}

/** Softmax, with the largest score taken off first so that no exponential overflows. */
function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The indexes of the `count` largest values, largest first, earlier ones first among equals; NaN is below all. */
function largest(values: readonly number[], count: number): number[] {
  const found: number[] = [];
  while (found.length < count) {
    let best = -1;
    for (let index = 0; index < values.length; index += 1) {
      if (found.includes(index)) continue;
      if (best === -1 || values[index]! > values[best]! || (Number.isNaN(values[best]) && !Number.isNaN(values[index]))) best = index;
    }
    found.push(best);
  }
  return found;
}

/**
 * Reads the scores of a classifier.
 * @param scores shape [N, classes] or [classes]; of a classifier of tokens [N, tokens, classes].
 * @returns one prediction for each example, or for each token, those of an example one behind the other.
 * @throws SlipwayError INFERENCE_FAILED when the scores are not one number for each label of the manifest.
 */
export function classify(scores: Tensor, { labels, scores: kind, top, of }: Classification): Prediction[] {
  const { shape, data, dtype } = scores;
  const classes = shape.at(-1);
  const values = dtype === 'FP32' || dtype === 'FP64' ? (data as Float32Array | Float64Array) : undefined;
  const isOfToken = of === 'token';
  if (values === undefined || (isOfToken ? shape.length !== 3 : shape.length < 1 || shape.length > 2) || classes !== labels.length) {
    throw new SlipwayError(
      'INFERENCE_FAILED',
      `The manifest declares ${labels.length} classes${isOfToken ? ' of each token' : ''}, so the scores must be floats of the shape [N, ${isOfToken ? 'tokens, ' : ''}${labels.length}]; the model gave ${dtype} [${shape.join(', ')}].`,
    );
  }
  const predictions: Prediction[] = [];
  for (let start = 0; start < values.length; start += classes) {
    const row = Array.from(values.subarray(start, start + classes));
    const probabilities = kind === 'logits' ? softmax(row) : row;
    const ranked = largest(probabilities, Math.min(top, classes)).map((index) => ({
      label: labels[index]!,
      probability: probabilities[index]!,
    }));
    predictions.push({ ...ranked[0]!, top: ranked });
  }
  return predictions;
}
