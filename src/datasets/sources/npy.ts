import { SlipwayError } from '../../errors/slipway-error.ts';
import { type ArrayDType, elementsOf } from '../records/layout.ts';
import type { SourceColumn, Value } from '../source.ts';
import { imageShapeOf } from './image-shape.ts';

/*
 * The .npy format of NumPy (numpy.lib.format): a magic text, a version, the length of the header, the header as a Python
 * dictionary, then the elements.
 */

const MAGIC = '\u0093NUMPY';
/** Where the header ends in version 1, whose length has two bytes, and in later ones, whose length has four. */
const HEADER_START = { 1: 10, 2: 12, 3: 12 } as const;
/** Enough for the header of any array without fields. */
export const NPY_HEAD_BYTES = 16 * 1024;

export function isNpy(head: Buffer): boolean {
  return head.toString('latin1', 0, MAGIC.length) === MAGIC;
}

/** How elements of one kind and size are read. */
interface ElementType {
  /** Of rows that are arrays. Integers of more than 32 bits become the nearest float. */
  readonly dtype: ArrayDType;
  readonly get: (view: DataView, offset: number, isLittle: boolean) => number | boolean;
}

const ELEMENT_TYPES: Readonly<Record<string, ElementType>> = {
  b1: { dtype: 'uint8', get: (view, offset) => view.getUint8(offset) !== 0 },
  u1: { dtype: 'uint8', get: (view, offset) => view.getUint8(offset) },
  u2: { dtype: 'int32', get: (view, offset, isLittle) => view.getUint16(offset, isLittle) },
  u4: { dtype: 'float32', get: (view, offset, isLittle) => view.getUint32(offset, isLittle) },
  u8: { dtype: 'float32', get: (view, offset, isLittle) => Number(view.getBigUint64(offset, isLittle)) },
  i1: { dtype: 'int32', get: (view, offset) => view.getInt8(offset) },
  i2: { dtype: 'int32', get: (view, offset, isLittle) => view.getInt16(offset, isLittle) },
  i4: { dtype: 'int32', get: (view, offset, isLittle) => view.getInt32(offset, isLittle) },
  i8: { dtype: 'float32', get: (view, offset, isLittle) => Number(view.getBigInt64(offset, isLittle)) },
  f2: { dtype: 'float32', get: (view, offset, isLittle) => view.getFloat16(offset, isLittle) },
  f4: { dtype: 'float32', get: (view, offset, isLittle) => view.getFloat32(offset, isLittle) },
  f8: { dtype: 'float32', get: (view, offset, isLittle) => view.getFloat64(offset, isLittle) },
};

/** A text of a fixed size, zeros behind it: bytes (S) or UTF-32 (U). */
function readFixedText(kind: string, isLittle: boolean, bytes: Buffer): string {
  if (kind === 'S') return bytes.toString('utf8').replace(/\0+$/, '');
  let text = '';
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const point = isLittle ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
    if (point !== 0) text += String.fromCodePoint(Math.min(point, 0x10ffff));
  }
  return text;
}

/** What the header of an array says, and how its rows are read. */
export interface NpyArray {
  readonly headerBytes: number;
  readonly rows: number;
  readonly rowBytes: number;
  column(name: string): SourceColumn;
  decode(group: Buffer): Value[];
}

function invalid(name: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_DATASET', `${name} ${problem}.`);
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** Rows of one element. */
function decodeScalars(kind: string, size: number, isLittle: boolean): NpyArray['decode'] {
  const element = ELEMENT_TYPES[`${kind}${size}`];
  return (group) => {
    const view = viewOf(group);
    return Array.from({ length: group.length / size }, (_row, row) =>
      element === undefined
        ? readFixedText(kind, isLittle, group.subarray(row * size, (row + 1) * size))
        : element.get(view, row * size, isLittle),
    );
  };
}

/** Rows of several elements. */
function decodeArrays({ dtype, get }: ElementType, size: number, elements: number, isLittle: boolean): NpyArray['decode'] {
  const rowBytes = size * elements;
  return (group) => {
    const view = viewOf(group);
    return Array.from({ length: group.length / rowBytes }, (_row, row) => {
      const start = row * rowBytes;
      if (dtype === 'uint8') return group.subarray(start, start + rowBytes);
      const values = dtype === 'int32' ? new Int32Array(elements) : new Float32Array(elements);
      for (let index = 0; index < elements; index += 1) values[index] = Number(get(view, start + index * size, isLittle));
      return values;
    });
  };
}

/**
 * Reads the header of an array.
 * @param head the first bytes of the file, at least `NPY_HEAD_BYTES` if there are so many.
 * @param name for messages.
 * @throws SlipwayError INVALID_DATASET
 */
export function readNpyHeader(head: Buffer, name: string): NpyArray {
  if (!isNpy(head)) throw invalid(name, 'is not an .npy file');
  const version = head[6] as 1 | 2 | 3;
  const start = HEADER_START[version];
  if (start === undefined || head.length < start) throw invalid(name, `is of the version ${version} of the format, which is not known`);
  const headerBytes = start + (version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8));
  if (headerBytes > head.length) throw invalid(name, 'ends in its header, or has one that is too long');
  const header = head.toString(version === 3 ? 'utf8' : 'latin1', start, headerBytes);
  const descr = /'descr':\s*'([<>|=])([a-zA-Z])(\d+)'/.exec(header);
  const fortran = /'fortran_order':\s*(True|False)/.exec(header);
  const dimensions = /'shape':\s*\(([\d,\sL]*)\)/.exec(header);
  if (fortran === null || dimensions === null) throw invalid(name, `has a header that cannot be read: ${header.trim().slice(0, 100)}`);
  const [, order, kind = '', digits] = descr ?? [];
  const isText = kind === 'S' || kind === 'U';
  const size = Number(digits) * (kind === 'U' ? 4 : 1);
  const element = ELEMENT_TYPES[`${kind}${size}`];
  const shape = dimensions[1]!
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => Number.parseInt(part, 10));
  const [rows, ...rowShape] = shape;
  if (element === undefined && !(isText && size > 0)) {
    throw invalid(
      name,
      `has elements of the type ${/'descr':\s*(.{1,60}?),\s*'/.exec(header)?.[1] ?? 'unknown'}; numbers, booleans and texts are read`,
    );
  }
  if (rows === undefined) throw invalid(name, 'is a single value; its first dimension must be the rows');
  if (fortran[1] === 'True' && rowShape.length > 0) {
    throw invalid(name, 'lies column by column (Fortran order); save np.ascontiguousarray of it');
  }
  if (isText && rowShape.length > 0) throw invalid(name, 'has several texts in a row; one is read');
  const elements = elementsOf(rowShape);
  const isLittle = order !== '>';
  return {
    headerBytes,
    rows,
    rowBytes: elements * size,
    column(columnName) {
      if (rowShape.length === 0) return { name: columnName, kind: 'value' };
      const image = kind === 'u' && size === 1 ? imageShapeOf(rowShape) : undefined;
      return { name: columnName, kind: 'array', dtype: element!.dtype, shape: image ?? rowShape, isImage: image !== undefined };
    },
    decode: rowShape.length === 0 ? decodeScalars(kind, size, isLittle) : decodeArrays(element!, size, elements, isLittle),
  };
}
