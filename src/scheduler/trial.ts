import type { DType, NumericData } from '../tensor/dtype.ts';
import { decodeBf16, decodeFp16 } from '../tensor/float16.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { encodeBinaryTensor } from '../tensor/binary.ts';
import { sliceRows } from '../tensor/slice-rows.ts';
import { splitObstacle } from './batch.ts';

/*
 * A signature says that the first dimension of a tensor may be any size. It does not say that its rows are examples of
 * their own: the first dimension of a text model may be the words of one text, and a softmax may go over it. So a model is
 * tried before its requests are joined: one request that was answered alone is run again between two others. When its
 * rows come out the same, the rows do not see each other.
 */

/** How well a request's answer from a batch agrees with its answer alone. */
export type Agreement =
  /** To the bit. */
  | { readonly kind: 'exact' }
  /** As far as the rounding of another order of additions explains; `difference` is relative to the largest value. */
  | { readonly kind: 'rounding'; readonly difference: number }
  | { readonly kind: 'none'; readonly reason: string };

/** Largest difference that counts as rounding, relative to the largest value of the output. */
const TOLERANCE: Readonly<Partial<Record<DType, number>>> = { FP64: 1e-9, FP32: 1e-4, FP16: 1e-2, BF16: 5e-2 };

function sameBytes(a: Tensor, b: Tensor): boolean {
  return Buffer.compare(encodeBinaryTensor(a), encodeBinaryTensor(b)) === 0;
}

/** Whether two requests have the same numbers. */
export function sameInputs(a: NamedTensors, b: NamedTensors): boolean {
  for (const [name, tensor] of a) {
    const other = b.get(name);
    if (other === undefined || !sameBytes(tensor, other)) return false;
  }
  return true;
}

/**
 * Inputs that differ from these but are as good: the same elements in reverse order. They take no values that the model
 * does not take, such as an index beyond a table.
 * @returns undefined when they come out the same.
 */
export function companionOf(inputs: NamedTensors): NamedTensors | undefined {
  const reversed = new Map<string, Tensor>();
  for (const [name, tensor] of inputs) {
    const data = tensor.dtype === 'BYTES' ? (tensor.data as readonly Uint8Array[]).toReversed() : (tensor.data as NumericData).toReversed();
    reversed.set(name, { ...tensor, data });
  }
  return sameInputs(inputs, reversed) ? undefined : reversed;
}

function numbersOf({ dtype, data }: Tensor): ArrayLike<number> {
  if (dtype === 'FP16') return decodeFp16(data as Uint16Array);
  if (dtype === 'BF16') return decodeBf16(data as Uint16Array);
  return data as Float32Array | Float64Array;
}

/** The largest difference, relative to the largest value; Infinity where one has a number and the other has none. */
function differenceOf(a: Tensor, b: Tensor): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  let largest = 0;
  let difference = 0;
  for (let index = 0; index < left.length; index += 1) {
    const [x, y] = [left[index]!, right[index]!];
    if (Object.is(x, y) || x === y) {
      if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
      continue;
    }
    if (!Number.isFinite(x) || !Number.isFinite(y)) return Infinity;
    largest = Math.max(largest, Math.abs(x), Math.abs(y));
    difference = Math.max(difference, Math.abs(x - y));
  }
  return difference === 0 ? 0 : difference / largest;
}

/**
 * Compares the answer of a request alone with the outputs of a run in which it was both the first and the last of three.
 * @param rows of the request; the run had three times as many.
 */
export function compareTrial(alone: NamedTensors, together: NamedTensors, rows: number): Agreement {
  const obstacle = splitObstacle(alone, rows) ?? splitObstacle(together, 3 * rows);
  if (obstacle !== undefined) return { kind: 'none', reason: obstacle };
  let worst = 0;
  for (const [name, tensor] of alone) {
    const whole = together.get(name)!;
    for (const at of [0, 2 * rows]) {
      const part = sliceRows(whole, at, at + rows);
      if (part.data.length === tensor.data.length && sameBytes(part, tensor)) continue;
      const difference =
        part.data.length === tensor.data.length && TOLERANCE[tensor.dtype] !== undefined ? differenceOf(tensor, part) : Infinity;
      if (difference > (TOLERANCE[tensor.dtype] ?? 0)) {
        return {
          kind: 'none',
          reason: `the output "${name}" of a request changed with what was run beside it, so its rows depend on each other`,
        };
      }
      worst = Math.max(worst, difference);
    }
  }
  return worst === 0 ? { kind: 'exact' } : { kind: 'rounding', difference: worst };
}
