/** The datatypes of the Open Inference Protocol (V2), with Triton's BF16. */
export const DTYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'BF16',
  'FP32',
  'FP64',
  'BYTES',
] as const;

export type DType = (typeof DTYPES)[number];
export type FixedDType = Exclude<DType, 'BYTES'>;

/**
 * How each datatype is held in memory. BOOL is one byte, 0 or 1. FP16 and BF16 are held as their 16 raw bits, since
 * neither has arithmetic here. BYTES has no typed array: it is a list of byte strings.
 */
export const STORAGE = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Record<FixedDType, unknown>;

export type NumericData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

export type TensorData = NumericData | readonly Uint8Array[];

/** Bytes of one element; BYTES has no fixed size. */
export function bytesPerElement(dtype: FixedDType): number {
  return STORAGE[dtype].BYTES_PER_ELEMENT;
}

export function isFixed(dtype: DType): dtype is FixedDType {
  return dtype !== 'BYTES';
}
