/** What a teacher's outputs are. */
export interface TeacherScores {
  /** Logits, or probabilities, whose logarithms are as good: softmax does not see what all scores have in common. */
  readonly kind: 'probabilities' | 'logits';
  /** For each class of the data the place of the score in a row of the teacher's output. */
  readonly order: readonly number[];
}

/** The logarithm of 0 is none. */
const LEAST_PROBABILITY = 1e-30;

/**
 * softmax(scores ÷ temperature) of each row, its classes in the order of the data.
 * @param outputs the teacher's, row by row, as many scores as classes
 */
export function softTargets(outputs: ArrayLike<number>, { kind, order }: TeacherScores, temperature: number): Float32Array {
  const classes = order.length;
  const soft = new Float32Array(outputs.length);
  const row = new Float64Array(classes);
  for (let start = 0; start < outputs.length; start += classes) {
    let most = -Infinity;
    for (let at = 0; at < classes; at += 1) {
      const output = outputs[start + order[at]!]!;
      row[at] = (kind === 'logits' ? output : Math.log(Math.max(output, LEAST_PROBABILITY))) / temperature;
      most = Math.max(most, row[at]!);
    }
    let sum = 0;
    for (let at = 0; at < classes; at += 1) sum += row[at] = Math.exp(row[at]! - most);
    for (let at = 0; at < classes; at += 1) soft[start + at] = row[at]! / sum;
  }
  return soft;
}

/** How far the sum of probabilities may be from 1: those of 8 bits are rounded. */
const TOLERANCE = 0.05;

/** What is wrong with outputs that are said to be of this kind; undefined when nothing is. */
export function problemOfScores(outputs: ArrayLike<number>, { kind, order }: TeacherScores): string | undefined {
  const classes = order.length;
  for (let start = 0; start < outputs.length; start += classes) {
    let sum = 0;
    for (let at = start; at < start + classes; at += 1) {
      const output = outputs[at]!;
      if (!Number.isFinite(output)) return `one of its scores is ${output}`;
      if (kind === 'probabilities' && output < -TOLERANCE) return `it gives ${output}, which is no probability`;
      sum += output;
    }
    if (kind === 'probabilities' && Math.abs(sum - 1) > TOLERANCE)
      return `a row of its output sums to ${sum.toPrecision(4)}, and probabilities to 1`;
  }
  return undefined;
}
