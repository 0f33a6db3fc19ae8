import type { DType, TensorData } from './dtype.ts';

/** A dense, row-major tensor. `data` holds exactly the product of `shape` elements; a scalar has the shape `[]`. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Tensors by name, in order. A Map, because names come from clients and `__proto__` is a fine tensor name. */
export type NamedTensors = ReadonlyMap<string, Tensor>;
