import type { Tensor } from '../../src/tensor/tensor.ts';

export function fp32(values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return { dtype: 'FP32', shape, data: Float32Array.from(values) };
}

export function int64(values: readonly bigint[], shape: readonly number[] = [values.length]): Tensor {
  return { dtype: 'INT64', shape, data: BigInt64Array.from(values) };
}

export function bytes(values: readonly string[], shape: readonly number[] = [values.length]): Tensor {
  return { dtype: 'BYTES', shape, data: values.map((text) => new TextEncoder().encode(text)) };
}
