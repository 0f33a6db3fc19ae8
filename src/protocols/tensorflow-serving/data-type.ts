import type { DType } from '../../tensor/dtype.ts';

/** TensorFlow's `DataType` of each dtype: its name and its number in types.proto. */
export const DATA_TYPE = {
  FP32: { name: 'DT_FLOAT', number: 1 },
  FP64: { name: 'DT_DOUBLE', number: 2 },
  INT32: { name: 'DT_INT32', number: 3 },
  UINT8: { name: 'DT_UINT8', number: 4 },
  INT16: { name: 'DT_INT16', number: 5 },
  INT8: { name: 'DT_INT8', number: 6 },
  BYTES: { name: 'DT_STRING', number: 7 },
  INT64: { name: 'DT_INT64', number: 9 },
  BOOL: { name: 'DT_BOOL', number: 10 },
  BF16: { name: 'DT_BFLOAT16', number: 14 },
  UINT16: { name: 'DT_UINT16', number: 17 },
  FP16: { name: 'DT_HALF', number: 19 },
  UINT32: { name: 'DT_UINT32', number: 22 },
  UINT64: { name: 'DT_UINT64', number: 23 },
} as const satisfies Record<DType, { readonly name: string; readonly number: number }>;

const BY_NUMBER: ReadonlyMap<number, DType> = new Map(Object.entries(DATA_TYPE).map(([dtype, { number }]) => [number, dtype as DType]));

/** The dtype of a `DataType`; undefined for those that no model here has. */
export function dtypeOf(number: number): DType | undefined {
  return BY_NUMBER.get(number);
}
