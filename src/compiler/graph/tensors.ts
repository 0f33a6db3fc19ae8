import type { Tensor } from '../../tensor/tensor.ts';

/** A list of whole numbers, as operators take axes, sizes and the like. */
export function int64s(values: readonly number[]): Tensor {
  return { dtype: 'INT64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

export function int64(value: number): Tensor {
  return { dtype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(value)) };
}

export function float(value: number): Tensor {
  return { dtype: 'FP32', shape: [], data: Float32Array.of(value) };
}

export function floats(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return { dtype: 'FP32', shape, data: Float32Array.from(values) };
}
