import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, WireReader } from '../../grpc/wire-reader.ts';
import { type DType, type FixedDType, type NumericData, STORAGE } from '../../../tensor/dtype.ts';
import { elementCount, formatShape, tensorError } from '../../../tensor/shape.ts';
import type { Tensor } from '../../../tensor/tensor.ts';

/** The names of the fields of `InferTensorContents`, by their numbers. */
const FIELD_NAMES = [
  '',
  'bool_contents',
  'int_contents',
  'int64_contents',
  'uint_contents',
  'uint64_contents',
  'fp32_contents',
  'fp64_contents',
  'bytes_contents',
];

/** Number and wire type of the field that holds the elements of each datatype. FP16 and BF16 have none. */
const FIELDS = {
  BOOL: { number: 1, wireType: VARINT },
  INT8: { number: 2, wireType: VARINT },
  INT16: { number: 2, wireType: VARINT },
  INT32: { number: 2, wireType: VARINT },
  INT64: { number: 3, wireType: VARINT },
  UINT8: { number: 4, wireType: VARINT },
  UINT16: { number: 4, wireType: VARINT },
  UINT32: { number: 4, wireType: VARINT },
  UINT64: { number: 5, wireType: VARINT },
  FP32: { number: 6, wireType: FIXED32 },
  FP64: { number: 7, wireType: FIXED64 },
  BYTES: { number: 8, wireType: LENGTH_DELIMITED },
  FP16: undefined,
  BF16: undefined,
} as const satisfies Record<DType, { number: number; wireType: number } | undefined>;

/** Puts the elements of a reader into a tensor, one after the other. */
type Fill = (reader: WireReader, index: number) => void;

/** INT8 and INT16 travel as 32-bit integers, which may be out of their range. */
function fillSmall(data: NumericData, valueOf: (low: number) => number, dtype: DType, path: string): Fill {
  return (reader, index) => {
    reader.readVarint();
    const value = valueOf(reader.low);
    data[index] = value;
    if (data[index] !== value) throw tensorError(`${path}[${index}]`, `${value} is out of range for ${dtype}`);
  };
}

function fillOf(dtype: FixedDType, data: NumericData, path: string): Fill {
  switch (dtype) {
    case 'BOOL':
      return (reader, index) => {
        reader.readVarint();
        data[index] = (reader.low | reader.high) === 0 ? 0 : 1;
      };
    case 'INT8':
    case 'INT16':
    case 'INT32':
      return fillSmall(data, (low) => low | 0, dtype, path);
    case 'UINT8':
    case 'UINT16':
    case 'UINT32':
      return fillSmall(data, (low) => low >>> 0, dtype, path);
    case 'INT64':
    case 'UINT64': {
      const words = new Int32Array(data.buffer, data.byteOffset, data.length * 2);
      return (reader, index) => {
        reader.readVarint();
        words[2 * index] = reader.low;
        words[2 * index + 1] = reader.high;
      };
    }
    default: {
      const size = data.BYTES_PER_ELEMENT;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return (reader, index) => bytes.set(reader.take(size), index * size);
    }
  }
}

/** Counts elements in, and refuses one more than the shape takes. */
function createCounter(count: number, refuse: (found: string) => Error): { next(): number; end(): void } {
  let index = 0;
  return {
    next() {
      if (index === count) throw refuse(`more than ${count}`);
      index += 1;
      return index - 1;
    },
    end() {
      if (index < count) throw refuse(String(index));
    },
  };
}

/**
 * Reads a tensor from the message `InferTensorContents`, straight into its memory.
 * @throws SlipwayError INVALID_TENSOR when the elements are in another field than the datatype takes, do not fill the
 *   shape, or are out of range; INVALID_REQUEST when the bytes are no such message.
 */
export function decodeContents(contents: Buffer, dtype: DType, shape: readonly number[], path: string): Tensor {
  const count = elementCount(shape, path);
  const field = FIELDS[dtype];
  if (field === undefined || dtype === 'FP16' || dtype === 'BF16') {
    throw tensorError(path, `${dtype} has no typed form in this protocol; send it in raw_input_contents`);
  }
  const refuse = (found: string): Error => tensorError(path, `has ${found} elements; ${dtype} ${formatShape(shape)} takes ${count}`);
  // Each element takes a byte at least, so a hostile shape is refused before anything is allocated for it.
  if (count > contents.length) throw refuse(`at most ${contents.length}`);

  const texts: Buffer[] = [];
  const data = dtype === 'BYTES' ? texts : new STORAGE[dtype](count);
  const fill: Fill = dtype === 'BYTES' ? (reader) => texts.push(reader.bytes()) : fillOf(dtype, data as NumericData, path);
  const counter = createCounter(count, refuse);
  const reader = new WireReader(contents);
  while (reader.next()) {
    if (reader.field !== field.number) {
      const name = FIELD_NAMES[reader.field];
      if (name !== undefined) throw tensorError(path, `has ${name}; ${dtype} takes ${FIELD_NAMES[field.number]}`);
      reader.skip();
    } else if (reader.wireType === field.wireType) fill(reader, counter.next());
    else {
      const packed = reader.message();
      while (!packed.atEnd) fill(packed, counter.next());
    }
  }
  counter.end();
  return { dtype, shape, data };
}
