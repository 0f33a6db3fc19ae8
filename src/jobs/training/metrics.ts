import type { TargetSpec } from '../../datasets/dataset.ts';

/** Names of what is measured. */
export const METRICS = ['loss', 'accuracy', 'precision', 'recall', 'f1', 'mae', 'rmse', 'r2', 'perplexity'] as const;

/** Which of them, by the kind of the target. */
export const METRICS_OF = {
  class: ['loss', 'accuracy', 'precision', 'recall', 'f1'],
  tags: ['loss', 'accuracy', 'precision', 'recall', 'f1'],
  number: ['loss', 'mae', 'rmse', 'r2'],
  token: ['loss', 'accuracy', 'perplexity'],
} as const satisfies Record<string, readonly (typeof METRICS)[number][]>;

type Metrics = Partial<Record<(typeof METRICS)[number], number>>;

/** Adds up what the examples of a pass show. Plain data inside, so that a checkpoint can keep it. */
export interface Meter {
  /** @param outputs probabilities [N, …, classes] or values [N, width]; @param loss mean of these N examples, or of their tokens that have labels */
  add(outputs: Float32Array, target: Float32Array | Int32Array, size: number, loss: number): void;
  metrics(): Metrics;
  state(): MeterState;
}

export interface MeterState {
  readonly examples: number;
  readonly loss: number;
  /** By class row by row: what it is, then what it was taken for. */
  readonly confusion: readonly number[];
  /** Of tokens: how many were the likeliest one. */
  readonly hits: number;
  readonly absolute: number;
  readonly squared: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  readonly values: number;
}

const EMPTY: MeterState = { examples: 0, loss: 0, confusion: [], hits: 0, absolute: 0, squared: 0, sum: 0, sumOfSquares: 0, values: 0 };

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** Macro averages count each class alike (over the classes that there are examples of). */
function classMetrics(confusion: readonly number[], classes: number): Metrics {
  let right = 0;
  let total = 0;
  const scores = { precision: 0, recall: 0, f1: 0 };
  let present = 0;
  for (let label = 0; label < classes; label += 1) {
    const hit = confusion[label * classes + label]!;
    let actual = 0;
    let predicted = 0;
    for (let other = 0; other < classes; other += 1) {
      actual += confusion[label * classes + other]!;
      predicted += confusion[other * classes + label]!;
    }
    right += hit;
    total += actual;
    if (actual === 0) continue;
    present += 1;
    scores.precision += ratio(hit, predicted);
    scores.recall += ratio(hit, actual);
    scores.f1 += ratio(2 * hit, actual + predicted);
  }
  return {
    accuracy: ratio(right, total),
    precision: ratio(scores.precision, present),
    recall: ratio(scores.recall, present),
    f1: ratio(scores.f1, present),
  };
}

/** The class of the highest score in a row. */
function likeliest(outputs: Float32Array, row: number, classes: number): number {
  const start = row * classes;
  let best = start;
  for (let at = start + 1; at < start + classes; at += 1) if (outputs[at]! > outputs[best]!) best = at;
  return best - start;
}

/**
 * `loss`, and of classes `accuracy`, `precision`, `recall` and `f1` (macro averages), of numbers `mae`, `rmse` and `r2`
 * in the units of the column; of tokens `accuracy` and `perplexity`, over the tokens. Labels of tokens are classes, each token an example.
 */
export function createMeter(target: TargetSpec, begun: MeterState = EMPTY): Meter {
  const classes = target.kind === 'class' || target.kind === 'tags' ? target.labels.length : 0;
  const confusion = begun.confusion.length === 0 ? Array<number>(classes * classes).fill(0) : [...begun.confusion];
  let { examples, loss: lossSum, hits, absolute, squared, sum, sumOfSquares, values } = begun;
  return {
    add(outputs, actual, size, loss) {
      let counted = size;
      if (classes > 0) {
        counted = 0;
        for (let row = 0; row < actual.length; row += 1) {
          const label = actual[row]!;
          if (label < 0) continue;
          counted += 1;
          const at = label * classes + likeliest(outputs, row, classes);
          confusion[at] = confusion[at]! + 1;
        }
      }
      examples += counted;
      lossSum += loss * counted;
      if (classes > 0) return;
      if (target.kind === 'token') {
        for (const [row, token] of actual.entries()) if (likeliest(outputs, row, target.vocabularySize) === token) hits += 1;
        values += actual.length;
        return;
      }
      for (let index = 0; index < outputs.length; index += 1) {
        const value = actual[index]!;
        const error = outputs[index]! - value;
        absolute += Math.abs(error);
        squared += error * error;
        sum += value;
        sumOfSquares += value * value;
      }
      values += outputs.length;
    },
    metrics() {
      const loss = ratio(lossSum, examples);
      if (classes > 0) return { loss, ...classMetrics(confusion, classes) };
      // Of how many tokens, all as likely, the model is as unsure as of the next one.
      if (target.kind === 'token') return { loss, accuracy: ratio(hits, values), perplexity: Math.exp(loss) };
      const { std } = target.kind === 'number' ? target : { std: 1 };
      const spread = sumOfSquares - ratio(sum * sum, values);
      return {
        loss,
        mae: ratio(absolute, values) * std,
        rmse: Math.sqrt(ratio(squared, values)) * std,
        r2: spread > 0 ? 1 - squared / spread : 0,
      };
    },
    state: () => ({ examples, loss: lossSum, confusion, hits, absolute, squared, sum, sumOfSquares, values }),
  };
}
