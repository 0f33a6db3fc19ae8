import { type DType, STORAGE } from '../../../tensor/dtype.ts';
import { elementCount, formatShape, tensorError } from '../../../tensor/shape.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { InferTensorContents, Long } from './messages.ts';

type Field = keyof InferTensorContents;

/** The field of `InferTensorContents` that holds the elements of each datatype. FP16 and BF16 have none. */
const FIELDS = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP16: undefined,
  BF16: undefined,
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
} as const satisfies Record<DType, Field | undefined>;

const ALL_FIELDS = [...new Set(Object.values(FIELDS))].filter((field) => field !== undefined);

/** Whether the message holds any element. */
export function hasContents(contents: InferTensorContents | undefined): boolean {
  return contents !== undefined && ALL_FIELDS.some((field) => contents[field].length > 0);
}

/** Every number of the field must be an element of the datatype: INT8 and INT16 travel as 32-bit integers. */
function decodeIntegers(dtype: 'INT8' | 'INT16' | 'INT32' | 'UINT8' | 'UINT16' | 'UINT32', values: readonly number[], path: string): Tensor['data'] {
  const data = STORAGE[dtype].from(values);
  for (let index = 0; index < values.length; index += 1) {
    if (data[index] !== values[index]) throw tensorError(`${path}[${index}]`, `${values[index]} is out of range for ${dtype}`);
  }
  return data;
}

/** The words are stored as they are, since a bigint for each costs an allocation. */
function decodeLongs(dtype: 'INT64' | 'UINT64', values: readonly Long[]): Tensor['data'] {
  const words = new Int32Array(values.length * 2);
  for (let index = 0; index < values.length; index += 1) {
    const { low, high } = values[index]!;
    words[2 * index] = low;
    words[2 * index + 1] = high;
  }
  return new STORAGE[dtype](words.buffer);
}

function decodeField(dtype: DType, contents: InferTensorContents, path: string): Tensor['data'] {
  switch (dtype) {
    case 'BOOL':
      return Uint8Array.from(contents.bool_contents, Number);
    case 'INT64':
      return decodeLongs(dtype, contents.int64_contents);
    case 'UINT64':
      return decodeLongs(dtype, contents.uint64_contents);
    case 'INT8':
    case 'INT16':
    case 'INT32':
      return decodeIntegers(dtype, contents.int_contents, path);
    case 'UINT8':
    case 'UINT16':
    case 'UINT32':
      return decodeIntegers(dtype, contents.uint_contents, path);
    case 'FP32':
      return Float32Array.from(contents.fp32_contents);
    case 'FP64':
      return Float64Array.from(contents.fp64_contents);
    case 'BYTES':
      return contents.bytes_contents;
    case 'FP16':
    case 'BF16':
      throw tensorError(path, `${dtype} has no typed form in this protocol; send it in raw_input_contents`);
  }
}

/**
 * Reads a tensor from its typed elements.
 * @throws SlipwayError INVALID_TENSOR when they are in another field than the datatype takes, or do not fill the shape.
 */
export function decodeContents(contents: InferTensorContents | undefined, dtype: DType, shape: readonly number[], path: string): Tensor {
  const count = elementCount(shape, path);
  const wanted = FIELDS[dtype];
  if (wanted !== undefined && contents !== undefined) {
    const other = ALL_FIELDS.find((field) => field !== wanted && contents[field].length > 0);
    if (other !== undefined) throw tensorError(path, `has ${other}; ${dtype} takes ${wanted}`);
  }
  const length = wanted === undefined || contents === undefined ? 0 : contents[wanted].length;
  if (wanted !== undefined && length !== count) {
    throw tensorError(path, `has ${length} elements; ${dtype} ${formatShape(shape)} takes ${count}`);
  }
  return { dtype, shape, data: decodeField(dtype, contents ?? NO_CONTENTS, path) };
}

/** What stands for the contents of an empty tensor. */
const NO_CONTENTS: InferTensorContents = {
  bool_contents: [],
  int_contents: [],
  int64_contents: [],
  uint_contents: [],
  uint64_contents: [],
  fp32_contents: [],
  fp64_contents: [],
  bytes_contents: [],
};
