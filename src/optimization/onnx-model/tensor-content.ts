import { closeSync, openSync, readSync } from 'node:fs';
import { DATA_TYPE, TENSOR } from '../../compiler/onnx/fields.ts';
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, WireReader } from '../../protobuf/wire-reader.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { decodeBinaryTensor, encodeBinaryTensor } from '../../tensor/binary.ts';
import { type DType, type FixedDType, type NumericData, STORAGE } from '../../tensor/dtype.ts';
import { elementCount } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { invalidModel } from './invalid-model.ts';
import type { OnnxTensor, TensorContent } from './model.ts';

const DTYPE_OF = new Map<number, DType>(Object.entries(DATA_TYPE).map(([dtype, number]) => [number, dtype as DType]));

/** The dtype of an ONNX element type; undefined for those that Slipway has none for, such as int4. */
export function dtypeOf(dataType: number): DType | undefined {
  return DTYPE_OF.get(dataType);
}

/** The field of TensorProto that holds the elements of a dtype where they are not raw. */
const TYPED_FIELD: Readonly<Record<FixedDType, number>> = {
  FP32: TENSOR.floatData,
  FP64: TENSOR.doubleData,
  INT64: TENSOR.int64Data,
  UINT32: TENSOR.uint64Data,
  UINT64: TENSOR.uint64Data,
  BOOL: TENSOR.int32Data,
  UINT8: TENSOR.int32Data,
  INT8: TENSOR.int32Data,
  UINT16: TENSOR.int32Data,
  INT16: TENSOR.int32Data,
  INT32: TENSOR.int32Data,
  FP16: TENSOR.int32Data,
  BF16: TENSOR.int32Data,
};

interface Element {
  readonly wireType: number;
  readonly read: (reader: WireReader) => number | bigint;
}

function elementOf(dtype: DType): Element {
  if (dtype === 'FP32') return { wireType: FIXED32, read: (reader) => reader.take(4).readFloatLE() };
  if (dtype === 'FP64') return { wireType: FIXED64, read: (reader) => reader.take(8).readDoubleLE() };
  return { wireType: VARINT, read: (reader) => reader.packedInt64() };
}

function fromTyped(tensor: OnnxTensor, fields: readonly Uint8Array[], dtype: DType, count: number): Tensor {
  const { name, shape } = tensor;
  const fail = (): never => {
    throw invalidModel(`has a tensor "${name}" that does not hold the ${count} elements of its shape`);
  };
  if (dtype === 'BYTES') {
    const data = fields.map((field) => {
      const reader = new WireReader(Buffer.from(field.buffer, field.byteOffset, field.byteLength));
      reader.next();
      return reader.bytes();
    });
    return data.length === count ? { dtype, shape, data } : fail();
  }
  const { wireType, read } = elementOf(dtype);
  const wide = dtype === 'INT64' || dtype === 'UINT64';
  // A hostile shape must not allocate: each element takes at least a byte.
  if (count > fields.reduce((total, { byteLength }) => total + byteLength, 0)) fail();
  const data = new STORAGE[dtype](count) as Float32Array | BigInt64Array;
  let at = 0;
  const add = (value: number | bigint): void => {
    if (at < count) data[at] = wide ? BigInt(value) : Number(value);
    at += 1;
  };
  for (const field of fields) {
    const reader = new WireReader(Buffer.from(field.buffer, field.byteOffset, field.byteLength));
    reader.next();
    if (reader.field !== TYPED_FIELD[dtype]) continue;
    if (reader.wireType === LENGTH_DELIMITED) for (const packed = reader.message(); !packed.atEnd;) add(read(packed));
    else if (reader.wireType === wireType) add(read(reader));
    else fail();
  }
  return at === count ? { dtype, shape, data: data as NumericData } : fail();
}

function readPart(path: string, offset: number, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  const descriptor = openSync(path, 'r');
  try {
    for (let done = 0; done < byteLength;) {
      const read = readSync(descriptor, bytes, done, byteLength - done, offset + done);
      if (read === 0) throw invalidModel('names a file of weights that became shorter while it was read');
      done += read;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

/** The bytes of elements that are raw here or in another file, which is read; undefined for typed ones. */
export function rawBytes(content: TensorContent): Uint8Array | undefined {
  if (content.kind === 'raw') return content.bytes;
  return content.kind === 'external' ? readPart(content.path, content.offset, content.byteLength) : undefined;
}

/** Bytes that the elements take in a file. */
export function contentBytes(content: TensorContent): number {
  if (content.kind === 'raw') return content.bytes.byteLength;
  if (content.kind === 'external') return content.byteLength;
  return content.fields.reduce((total, field) => total + field.byteLength, 0);
}

/**
 * The elements of a tensor. They may share the memory of the file that was read, so they must not be changed.
 * @throws SlipwayError INVALID_MODEL when they do not fill the shape, or are of a type that Slipway does not have.
 */
export function tensorOf(tensor: OnnxTensor): Tensor {
  const dtype = dtypeOf(tensor.dataType);
  if (dtype === undefined) throw invalidModel(`has a tensor "${tensor.name}" of the element type ${tensor.dataType}, which cannot be read`);
  const { content, shape } = tensor;
  try {
    if (content.kind === 'typed') return fromTyped(tensor, content.fields, dtype, elementCount(shape, tensor.name));
    return decodeBinaryTensor(rawBytes(content)!, dtype, shape, tensor.name, { copy: false });
  } catch (error) {
    if (error instanceof SlipwayError && error.code === 'INVALID_MODEL') throw error;
    throw invalidModel(`has a damaged tensor: ${messageOf(error).replace(/\.$/, '')}`, error);
  }
}
/** A tensor of these elements, which are not copied. */
export function makeTensor(name: string, tensor: Tensor & { readonly dtype: FixedDType }): OnnxTensor {
  const { dtype, shape } = tensor;
  return { name, dataType: DATA_TYPE[dtype], shape, content: { kind: 'raw', bytes: encodeBinaryTensor(tensor) }, rest: [] };
}
