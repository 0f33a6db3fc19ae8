import { STORAGE } from '../tensor/dtype.ts';
import type { Signature, TensorSpec } from '../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

/** Sizes tried for the open dimensions after the batch: 32 is enough for most convolutions, 1 fits more broadcasts. */
const OPEN_SIZES = [32, 1] as const;

/** One tensor of a single value, or of empty strings, that fits the spec. */
function filled({ dtype, shape }: TensorSpec, openSize: number, value: 0 | 1, rows: number): Tensor {
  const sizes = (shape ?? [rows]).map((size, index) => (size >= 0 ? size : index === 0 ? rows : openSize));
  const count = sizes.reduce((product, size) => product * size, 1);
  if (dtype === 'BYTES') return { dtype, shape: sizes, data: Array.from({ length: count }, () => new Uint8Array()) };
  const data = new STORAGE[dtype](count);
  if (value === 1)
    (data.fill as (each: number | bigint) => unknown)(data instanceof BigInt64Array || data instanceof BigUint64Array ? 1n : 1);
  return { dtype, shape: sizes, data };
}

/**
 * Inputs of a single value that fit a signature, for each size of its open dimensions that is worth a try.
 * @param rows of an open first dimension, which is taken as that of a batch
 */
export function filledInputs(signature: Signature, value: 0 | 1, rows = 1): NamedTensors[] {
  const open = signature.inputs.some(({ shape }) => shape?.some((size, index) => size < 0 && index > 0));
  const sizes = open ? OPEN_SIZES : OPEN_SIZES.slice(0, 1);
  return sizes.map((size) => new Map(signature.inputs.map((spec) => [spec.name, filled(spec, size, value, rows)])));
}
