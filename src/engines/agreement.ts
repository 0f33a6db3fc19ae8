import { STORAGE } from '../tensor/dtype.ts';
import { decodeBf16, decodeFp16 } from '../tensor/float16.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { filledInputs } from './filled-inputs.ts';

/*
 * Whether two ways to run a model are the same model: inputs that are made up, and how far answers are from each other.
 */

/** Of other kernels, which round in another way. Measured: 1e-6 where they work, 0.2 and more where not. */
export const MAX_DIFFERENCE = 1e-3;

const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP64']);
const WHOLE: ReadonlySet<string> = new Set(['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64']);

/** Numbers that look random and are the same each time (a linear congruential generator, Numerical Recipes), in [0, 1). */
function createNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function varied(tensor: Tensor, next: () => number): Tensor {
  // A whole number of 0 or 1 fits wherever one does: a flag, an index, a token.
  if (WHOLE.has(tensor.dtype)) {
    const Whole = STORAGE[tensor.dtype as 'INT32'];
    const isLong = tensor.dtype === 'INT64' || tensor.dtype === 'UINT64';
    const drawn = (): number => Math.round(next());
    return { ...tensor, data: Whole.from(tensor.data as Int32Array, isLong ? ((() => BigInt(drawn())) as never) : drawn) };
  }
  if (!FLOATS.has(tensor.dtype)) return tensor;
  const Storage = STORAGE[tensor.dtype as 'FP32'];
  return { ...tensor, data: Storage.from(tensor.data as Float32Array, next) };
}

/**
 * Inputs of varied numbers that fit a signature, some for each size of its open dimensions.
 * @param rows of an open first dimension
 */
export function variedInputs(signature: Signature, rows = 1): NamedTensors[] {
  const next = createNumbers();
  return [...filledInputs(signature, 1, rows), ...filledInputs(signature, 1, rows)].map(
    (inputs) => new Map([...inputs].map(([name, tensor]) => [name, varied(tensor, next)])),
  );
}

/** FP16 and BF16 are held as bits; undefined for what is no number with a fraction. */
function fractionsOf({ dtype, data }: Tensor): Float32Array | undefined {
  if (FLOATS.has(dtype)) return data as Float32Array;
  if (dtype === 'FP16') return Float32Array.from(decodeFp16(data as Uint16Array));
  return dtype === 'BF16' ? decodeBf16(data as Uint16Array) : undefined;
}

/**
 * The largest difference of numbers, where those larger than 1 count by their ratio. Whole numbers and texts, such as classes
 * and tokens, are the same or infinitely different.
 */
export function differenceOf(one: Tensor, other: Tensor): number {
  if (one.dtype !== other.dtype || one.data.length !== other.data.length) return Infinity;
  const values = fractionsOf(one);
  const others = fractionsOf(other);
  if (values === undefined || others === undefined) {
    const [elements, found] = [[...(one.data as Iterable<unknown>)], [...(other.data as Iterable<unknown>)]];
    return elements.every((element, index) => String(element) === String(found[index])) ? 0 : Infinity;
  }
  let largest = 0;
  for (const [index, value] of values.entries()) {
    if (Object.is(value, others[index]) || value === others[index]) continue;
    const difference = Math.abs(value - others[index]!) / Math.max(1, Math.abs(value));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}
