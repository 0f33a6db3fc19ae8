import type { DType } from '../../tensor/dtype.ts';

/** ONNX Runtime's names of the element types that its Node binding carries, with Slipway's dtype for each. */
const DTYPE_OF = {
  float32: 'FP32',
  float64: 'FP64',
  float16: 'FP16',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
} as const satisfies Record<string, DType>;

export type CarriedType = keyof typeof DTYPE_OF;

const CARRIED_TYPE_OF = new Map<DType, CarriedType>(Object.entries(DTYPE_OF).map(([type, dtype]) => [dtype, type as CarriedType]));

/** Slipway's dtype for a type name of ONNX Runtime; undefined for int4 and uint4, which have no counterpart. */
export function dtypeOf(type: string): DType | undefined {
  return Object.hasOwn(DTYPE_OF, type) ? DTYPE_OF[type as CarriedType] : undefined;
}

/** ONNX Runtime's type name for a dtype; undefined for BF16. */
export function carriedTypeOf(dtype: DType): CarriedType | undefined {
  return CARRIED_TYPE_OF.get(dtype);
}

/** Numbers of `TensorProto.DataType` in onnx.proto, for messages about types that cannot be carried. */
const ELEMENT_TYPE_NAMES = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
] as const;

/** The name of an element type number of an ONNX file. */
export function elementTypeName(elementType: number): string {
  return ELEMENT_TYPE_NAMES[elementType] ?? `element type ${elementType}`;
}
