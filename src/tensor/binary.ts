import { bytesPerElement, type DType, type FixedDType, isFixed, STORAGE } from './dtype.ts';
import { elementCount, formatShape, tensorError } from './shape.ts';
import { smallArray } from './small-array.ts';
import type { Tensor } from './tensor.ts';

/*
 * The raw form of tensors in the V2 binary extension, in gRPC and between host and runner: little-endian, row-major,
 * without padding. BOOL is one byte, 0 or 1. A BYTES element is its length as u32 and then its bytes. Typed arrays
 * have the byte order of the machine, and every machine that Node runs on is little-endian.
 */

const LENGTH_BYTES = 4;

interface DecodeOptions {
  /** False lets the tensor share the memory of `bytes` where alignment allows; true, the default, copies. */
  readonly copy?: boolean;
}

function decodeFixed(bytes: Uint8Array, dtype: FixedDType, shape: readonly number[], count: number, path: string, copy: boolean): Tensor {
  const size = bytesPerElement(dtype);
  if (bytes.byteLength !== count * size) {
    throw tensorError(path, `has ${bytes.byteLength} bytes; ${dtype} ${formatShape(shape)} takes ${count * size}`);
  }
  if (dtype === 'BOOL') {
    for (let index = 0; index < count; index += 1) {
      if (bytes[index]! > 1) throw tensorError(path, `has the byte ${bytes[index]} at ${index}; BOOL is 0 or 1`);
    }
  }
  // A typed array must start at a multiple of its element size; offsets into a request body need not. `new Uint8Array`
  // copies; `slice` would not, on a Buffer.
  const aligned = bytes.byteOffset % size === 0;
  let source = copy ? new Uint8Array(bytes) : bytes;
  if (!copy && !aligned) {
    source = smallArray(Uint8Array, bytes.byteLength);
    source.set(bytes);
  }
  return { dtype, shape, data: new STORAGE[dtype](source.buffer as ArrayBuffer, source.byteOffset, count) };
}

function decodeBytes(bytes: Uint8Array, shape: readonly number[], count: number, path: string, copy: boolean): Tensor {
  // Each element takes at least its length, so a hostile shape is refused before anything is allocated for it.
  if (count * LENGTH_BYTES > bytes.byteLength) {
    throw tensorError(path, `has ${bytes.byteLength} bytes; BYTES ${formatShape(shape)} takes at least ${count * LENGTH_BYTES}`);
  }
  // One copy for all: an allocation for each element costs more than its bytes.
  const source = copy ? new Uint8Array(bytes) : bytes;
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    if (offset + LENGTH_BYTES > bytes.byteLength) throw tensorError(path, `ends before the length of element ${index}`);
    const length = view.getUint32(offset, true);
    offset += LENGTH_BYTES;
    if (offset + length > bytes.byteLength) {
      throw tensorError(path, `says that element ${index} has ${length} bytes; ${bytes.byteLength - offset} are left`);
    }
    elements.push(source.subarray(offset, offset + length));
    offset += length;
  }
  if (offset !== bytes.byteLength) throw tensorError(path, `has ${bytes.byteLength - offset} bytes after its last element`);
  return { dtype: 'BYTES', shape, data: elements };
}

/**
 * Reads a tensor from its raw bytes.
 * @param path where the tensor stands in the request, for errors.
 * @throws SlipwayError INVALID_TENSOR when the bytes do not fill the shape exactly.
 */
export function decodeBinaryTensor(
  bytes: Uint8Array,
  dtype: DType,
  shape: readonly number[],
  path: string,
  { copy = true }: DecodeOptions = {},
): Tensor {
  const count = elementCount(shape, path);
  return isFixed(dtype) ? decodeFixed(bytes, dtype, shape, count, path, copy) : decodeBytes(bytes, shape, count, path, copy);
}

function isTypedArray(data: Tensor['data']): data is Exclude<Tensor['data'], readonly Uint8Array[]> {
  return ArrayBuffer.isView(data);
}

/** Bytes of the raw form. */
export function binaryByteLength({ data }: Tensor): number {
  if (isTypedArray(data)) return data.byteLength;
  let total = 0;
  for (const element of data) total += LENGTH_BYTES + element.byteLength;
  return total;
}

/** The raw form; for all but BYTES a view of the tensor's own memory. */
export function encodeBinaryTensor(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  if (isTypedArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = new Uint8Array(binaryByteLength(tensor));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const element of data) {
    view.setUint32(offset, element.byteLength, true);
    bytes.set(element, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + element.byteLength;
  }
  return bytes;
}
