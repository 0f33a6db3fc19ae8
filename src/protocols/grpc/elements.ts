import { type DType, type FixedDType, type NumericData, STORAGE, type TensorData } from '../../tensor/dtype.ts';
import { tensorError } from '../../tensor/shape.ts';
import { WireReader } from '../../protobuf/wire-reader.ts';

/** A repeated field: its number and the wire type of an element that is not packed. */
export interface ElementField {
  readonly number: number;
  readonly wireType: number;
}

/** The fields of a message that hold the elements of a tensor, one after the other. */
export interface ElementFields {
  /** The field of each datatype; undefined for one that the message cannot hold. */
  readonly byDtype: Readonly<Record<DType, ElementField | undefined>>;
  /** The names of all of them by their numbers, for errors. */
  readonly names: Readonly<Record<number, string>>;
}

export interface Elements {
  /** For numbers an array of the wanted size, zero where nothing was read; for BYTES what was read. */
  readonly data: TensorData;
  /** How many were read. */
  readonly count: number;
}

/** Puts the next element of a reader into its place. */
type Fill = (reader: WireReader, index: number) => void;

/** Small integers travel as 32-bit integers, which may be out of their range. */
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
    // The bits of half floats.
    case 'FP16':
    case 'BF16':
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

/**
 * Reads the elements of a tensor straight into its memory, packed or one by one.
 * @param most how many the tensor takes; so much memory is allocated, so the caller has looked at it.
 * @param refuse makes the error of a message that has more.
 * @throws SlipwayError INVALID_TENSOR when elements are in another field than the datatype takes, or out of range;
 *   INVALID_REQUEST when the bytes are no message.
 */
export function readElements(
  message: Buffer,
  { byDtype, names }: ElementFields,
  { dtype, most, path, refuse }: { dtype: DType; most: number; path: string; refuse: (found: string) => Error },
): Elements {
  const field = byDtype[dtype];
  const texts: Buffer[] = [];
  const data = dtype === 'BYTES' ? texts : new STORAGE[dtype](most);
  const fill: Fill = dtype === 'BYTES' ? (reader) => texts.push(reader.bytes()) : fillOf(dtype, data as NumericData, path);
  let count = 0;
  const add = (reader: WireReader): void => {
    if (count === most) throw refuse(`more than ${most}`);
    fill(reader, count);
    count += 1;
  };
  const reader = new WireReader(message);
  while (reader.next()) {
    if (reader.field !== field?.number) {
      const name = names[reader.field];
      if (name !== undefined) throw tensorError(path, `has ${name}; ${dtype} takes ${names[field?.number ?? 0] ?? 'none of these fields'}`);
      reader.skip();
    } else if (reader.wireType === field.wireType) add(reader);
    else {
      const packed = reader.message();
      while (!packed.atEnd) add(packed);
    }
  }
  return { data, count };
}
