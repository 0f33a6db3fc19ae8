import type { Classification } from '../packages/manifest.ts';
import { decodeBf16, decodeFp16 } from '../tensor/float16.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

export interface Comparison {
  readonly agrees: boolean;
  /** The largest difference of two numbers; Infinity where the answers cannot be compared number by number. */
  readonly difference: number;
}

/** Dtypes that scores of classes come in. */
const SCORES: ReadonlySet<string> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);

const APART: Comparison = { agrees: false, difference: Infinity };

function isSameShape(one: Tensor, other: Tensor): boolean {
  return (
    one.dtype === other.dtype && one.shape.length === other.shape.length && one.shape.every((size, axis) => size === other.shape[axis])
  );
}

/** The class with the highest score of each row; -1 where a score is no number. */
function classesOf(tensor: Tensor): number[] {
  const scores = elementsOf(tensor) as ArrayLike<number>;
  const width = tensor.shape.at(-1)!;
  return Array.from({ length: scores.length / width }, (_row, row) => {
    let best = row * width;
    for (let at = row * width; at < (row + 1) * width; at += 1) {
      if (Number.isNaN(scores[at])) return -1;
      if (scores[at]! > scores[best]!) best = at;
    }
    return best - row * width;
  });
}

/** FP16 and BF16 are held as bits. */
function elementsOf({ dtype, data }: Tensor): ArrayLike<unknown> {
  if (dtype === 'FP16') return decodeFp16(data as Uint16Array);
  return dtype === 'BF16' ? decodeBf16(data as Uint16Array) : data;
}

function compareNumbers(one: Tensor, other: Tensor, tolerance: number): Comparison {
  let agrees = true;
  let difference = 0;
  const [left, right] = [elementsOf(one), elementsOf(other)];
  for (let at = 0; at < left.length; at += 1) {
    const [a, b] = [left[at], right[at]];
    if (Object.is(a, b)) continue;
    if ((typeof a !== 'number' && typeof a !== 'bigint') || (typeof b !== 'number' && typeof b !== 'bigint')) {
      if (String(a) !== String(b)) return APART;
      continue;
    }
    const apart = Math.abs(Number(a) - Number(b));
    // Infinite on one side only, or no number.
    if (!Number.isFinite(apart)) return APART;
    // Whole numbers beyond 2 ** 53 may differ by less than their distance as doubles tells.
    if (apart === 0 && tolerance === 0 && typeof a === 'bigint') agrees = false;
    difference = Math.max(difference, apart);
    if (apart > tolerance * Math.max(1, Math.abs(Number(a)))) agrees = false;
  }
  return { agrees, difference };
}

/**
 * Compares what two versions answered to the same inputs.
 * @param classification of the baseline: of the scores of classes only the highest must be the same one
 */
export function compareOutputs(
  baseline: NamedTensors,
  candidate: NamedTensors,
  { tolerance, classification }: { readonly tolerance: number; readonly classification: Classification | undefined },
): Comparison {
  const scores = classification === undefined ? undefined : (classification.output ?? [...baseline.keys()][0]);
  let result: Comparison = { agrees: true, difference: 0 };
  for (const [name, tensor] of baseline) {
    const other = candidate.get(name);
    if (other === undefined || !isSameShape(tensor, other)) return APART;
    let compared = compareNumbers(tensor, other, tolerance);
    if (name === scores && SCORES.has(tensor.dtype) && tensor.shape.length > 0) {
      const classes = classesOf(other);
      compared = { ...compared, agrees: classesOf(tensor).every((each, row) => each === classes[row]) };
    }
    result = { agrees: result.agrees && compared.agrees, difference: Math.max(result.difference, compared.difference) };
  }
  return result;
}
