import { decodeBinaryTensor, encodeBinaryTensor } from '../../../tensor/binary.ts';
import { bytesPerElement, type DType, isFixed, type NumericData, type TensorData } from '../../../tensor/dtype.ts';
import { elementCount, formatShape, tensorError } from '../../../tensor/shape.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { type ElementField, type ElementFields, readElements } from '../../grpc/elements.ts';
import { push } from '../../grpc/message-parts.ts';
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, WireReader } from '../../../protobuf/wire-reader.ts';
import { WireWriter } from '../../../protobuf/wire-writer.ts';
import { DATA_TYPE, dtypeOf } from '../data-type.ts';

/*
 * `TensorProto` of tensorflow.proto. A tensor is in one of two forms: `tensor_content`, its bytes as they lie in memory, or
 * the elements in the field of its dtype. In the latter TensorFlow leaves out the end of a tensor that repeats its last
 * element, or all of it when it is zero (tensor.cc, FromProtoField).
 */

const FLOAT_VAL = { number: 5, wireType: FIXED32 };
const DOUBLE_VAL = { number: 6, wireType: FIXED64 };
const INT_VAL = { number: 7, wireType: VARINT };
const STRING_VAL = { number: 8, wireType: LENGTH_DELIMITED };
const INT64_VAL = { number: 10, wireType: VARINT };
const BOOL_VAL = { number: 11, wireType: VARINT };
const HALF_VAL = { number: 13, wireType: VARINT };
const UINT32_VAL = { number: 16, wireType: VARINT };
const UINT64_VAL = { number: 17, wireType: VARINT };

const BY_DTYPE = {
  FP32: FLOAT_VAL,
  FP64: DOUBLE_VAL,
  INT32: INT_VAL,
  INT16: INT_VAL,
  INT8: INT_VAL,
  UINT16: INT_VAL,
  UINT8: INT_VAL,
  BYTES: STRING_VAL,
  INT64: INT64_VAL,
  BOOL: BOOL_VAL,
  FP16: HALF_VAL,
  BF16: HALF_VAL,
  UINT32: UINT32_VAL,
  UINT64: UINT64_VAL,
} as const satisfies Record<DType, ElementField>;

const FIELDS: ElementFields = {
  byDtype: BY_DTYPE,
  names: {
    5: 'float_val',
    6: 'double_val',
    7: 'int_val',
    8: 'string_val',
    10: 'int64_val',
    11: 'bool_val',
    13: 'half_val',
    16: 'uint32_val',
    17: 'uint64_val',
  },
};

interface Header {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly content: Buffer | undefined;
}

function readShape(reader: WireReader, shape: number[], path: string): void {
  while (reader.next()) {
    if (reader.field === 2) {
      const dim = reader.message();
      let size = 0;
      while (dim.next()) {
        if (dim.field === 1) size = Number(dim.int64());
        else dim.skip();
      }
      push(shape, size, 'dimensions in one tensor', 256);
    } else if (reader.field === 3) {
      if (reader.bool()) throw tensorError(path, 'has no shape (unknown_rank); a tensor in a request needs one');
    } else reader.skip();
  }
}

function readHeader(message: Buffer, path: string): Header {
  const reader = new WireReader(message);
  const shape: number[] = [];
  let number = 0;
  let content: Buffer | undefined;
  while (reader.next()) {
    if (reader.field === 1) number = Number(reader.int64());
    else if (reader.field === 2) readShape(reader.message(), shape, path);
    else if (reader.field === 4) content = reader.bytes();
    else reader.skip();
  }
  const dtype = dtypeOf(number);
  if (dtype === undefined) throw tensorError(path, number === 0 ? 'has no dtype' : `has the DataType ${number}, which no model takes`);
  return { dtype, shape, content: content?.length === 0 ? undefined : content };
}

/** The content of a tensor of texts: the lengths of all, then the bytes of all. */
function decodeTexts(content: Buffer, shape: readonly number[], count: number, path: string): Tensor {
  // Each length takes a byte at least, so a hostile shape is refused before anything is allocated for it.
  if (count > content.length) throw tensorError(path, `has ${content.length} bytes of tensor_content; ${count} elements take more`);
  const reader = new WireReader(content);
  const lengths: number[] = [];
  for (let index = 0; index < count; index += 1) {
    reader.readVarint();
    lengths.push(reader.number());
  }
  const data = lengths.map((length) => reader.take(length));
  if (!reader.atEnd) throw tensorError(path, 'has bytes of tensor_content after its last element');
  return { dtype: 'BYTES', shape, data };
}

/** Repeats the last of the elements that were sent to the end of the tensor; without any they are zero, or empty texts. */
function repeatLast(data: TensorData, count: number, total: number): TensorData {
  if (count === total) return data;
  if (!ArrayBuffer.isView(data)) {
    const texts = data as readonly Uint8Array[];
    const last = texts.at(-1) ?? new Uint8Array();
    return Array.from({ length: total }, (_text, index) => texts[index] ?? last);
  }
  const numbers = data;
  if (count > 0) numbers.fill(numbers[count - 1] as never, count);
  return numbers;
}

/**
 * Reads a `TensorProto`.
 * @param maxBytes most memory that a tensor may take; a few bytes can ask for any amount of it.
 * @throws SlipwayError INVALID_TENSOR when it is no whole tensor or has more elements than its shape; INVALID_REQUEST when
 *   the bytes are no such message.
 */
export function decodeTensorProto(message: Buffer, path: string, maxBytes: number): Tensor {
  const { dtype, shape, content } = readHeader(message, path);
  const most = elementCount(shape, path);
  if (content !== undefined) {
    // The message belongs to this request alone, so its memory may be shared.
    return isFixed(dtype) ? decodeBinaryTensor(content, dtype, shape, path, { copy: false }) : decodeTexts(content, shape, most, path);
  }
  // An element of a list takes about 8 bytes.
  if (most * (isFixed(dtype) ? bytesPerElement(dtype) : 8) > maxBytes) {
    throw tensorError(path, `${dtype} ${formatShape(shape)} is larger than a request may be (${maxBytes} bytes)`);
  }
  const refuse = (found: string): Error => tensorError(path, `has ${found} elements; ${dtype} ${formatShape(shape)} takes ${most}`);
  const { data, count } = readElements(message, FIELDS, { dtype, most, path, refuse });
  return { dtype, shape, data: repeatLast(data, count, most) };
}

/** Signed integers of up to 32 bits travel as they are; half floats as the bits they are held in. */
function writeElements(writer: WireWriter, { dtype, data }: Tensor): void {
  const { number } = BY_DTYPE[dtype];
  switch (dtype) {
    case 'BYTES':
      for (const text of data as readonly Uint8Array[]) writer.bytes(number, text);
      return;
    // Packed, these are the bytes of the tensor; so are flags, each of them a varint of one byte.
    case 'FP32':
    case 'FP64':
    case 'BOOL':
      writer.bytes(number, encodeBinaryTensor({ dtype, shape: [], data }));
      return;
    default:
      writer.packedVarints(number, data as NumericData);
  }
}

/**
 * A `TensorProto` with its elements in the field of its dtype, as TensorFlow Serving answers: clients read that field by
 * its name.
 */
export function encodeTensorProto(tensor: Tensor): WireWriter {
  const shape = new WireWriter();
  for (const size of tensor.shape) shape.message(2, new WireWriter().int(1, size));
  const writer = new WireWriter().int(1, DATA_TYPE[tensor.dtype].number).message(2, shape);
  if (tensor.data.length > 0) writeElements(writer, tensor);
  return writer;
}
