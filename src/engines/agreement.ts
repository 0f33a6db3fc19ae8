import { STORAGE } from '../tensor/dtype.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { filledInputs } from './filled-inputs.ts';

/*
 * Whether two ways to run a model are the same model: inputs that are made up, and how far answers are from each other.
 */

/** Of other kernels, which round in another way. Measured: 1e-6 where they work, 0.2 and more where not. */
export const MAX_DIFFERENCE = 1e-3;

const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP64']);

/** Numbers that look random and are the same each time (a linear congruential generator, Numerical Recipes), in [0, 1). */
function createNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function varied(tensor: Tensor, next: () => number): Tensor {
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

/** The largest difference of numbers, where those larger than 1 count by their ratio. */
export function differenceOf(one: Tensor, other: Tensor): number {
  if (!FLOATS.has(one.dtype)) return 0;
  const values = one.data as Float32Array;
  const others = other.data as Float32Array;
  let largest = 0;
  for (const [index, value] of values.entries()) {
    if (Object.is(value, others[index]) || value === others[index]) continue;
    const difference = Math.abs(value - others[index]!) / Math.max(1, Math.abs(value));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}
