import type { DType } from '../../tensor/dtype.ts';

/** TensorFlow's numbers of dtypes (tensorflow/core/framework/types.proto). */
export const TF_DTYPES = {
  FP32: 1,
  FP64: 2,
  INT32: 3,
  UINT8: 4,
  INT16: 5,
  INT8: 6,
  BYTES: 7,
  INT64: 9,
  BOOL: 10,
  BF16: 14,
  UINT16: 17,
  FP16: 19,
  UINT32: 22,
  UINT64: 23,
} as const satisfies Record<DType, number>;

const BY_NUMBER: ReadonlyMap<number, DType> = new Map(Object.entries(TF_DTYPES).map(([dtype, number]) => [number, dtype as DType]));

/** Slipway's dtype for one of TensorFlow; undefined for those that Slipway has none for, such as complex numbers. */
export function dtypeOfNumber(number: number): DType | undefined {
  return BY_NUMBER.get(number);
}
