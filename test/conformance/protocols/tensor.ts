/*
 * The suite has codecs of its own, written from the protocols and not from Slipway's code, so that both can be wrong only
 * in different ways. A tensor is held as its raw bytes of V2: little-endian, row-major, BYTES with 32-bit lengths.
 */

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
  'FP32',
  'FP64',
  'BYTES',
] as const;

export type DType = (typeof DTYPES)[number];
export type Element = boolean | number | bigint | Buffer;

export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

interface Storage {
  readonly width: number;
  readonly get: (view: DataView, at: number) => Element;
  readonly set: (view: DataView, at: number, value: never) => void;
}

const STORAGE: Readonly<Record<Exclude<DType, 'BYTES'>, Storage>> = {
  BOOL: { width: 1, get: (view, at) => view.getUint8(at) !== 0, set: (view, at, value: boolean) => view.setUint8(at, value ? 1 : 0) },
  UINT8: { width: 1, get: (view, at) => view.getUint8(at), set: (view, at, value: number) => view.setUint8(at, value) },
  UINT16: { width: 2, get: (view, at) => view.getUint16(at, true), set: (view, at, value: number) => view.setUint16(at, value, true) },
  UINT32: { width: 4, get: (view, at) => view.getUint32(at, true), set: (view, at, value: number) => view.setUint32(at, value, true) },
  UINT64: {
    width: 8,
    get: (view, at) => view.getBigUint64(at, true),
    set: (view, at, value: bigint) => view.setBigUint64(at, value, true),
  },
  INT8: { width: 1, get: (view, at) => view.getInt8(at), set: (view, at, value: number) => view.setInt8(at, value) },
  INT16: { width: 2, get: (view, at) => view.getInt16(at, true), set: (view, at, value: number) => view.setInt16(at, value, true) },
  INT32: { width: 4, get: (view, at) => view.getInt32(at, true), set: (view, at, value: number) => view.setInt32(at, value, true) },
  INT64: { width: 8, get: (view, at) => view.getBigInt64(at, true), set: (view, at, value: bigint) => view.setBigInt64(at, value, true) },
  FP16: { width: 2, get: (view, at) => view.getFloat16(at, true), set: (view, at, value: number) => view.setFloat16(at, value, true) },
  FP32: { width: 4, get: (view, at) => view.getFloat32(at, true), set: (view, at, value: number) => view.setFloat32(at, value, true) },
  FP64: { width: 8, get: (view, at) => view.getFloat64(at, true), set: (view, at, value: number) => view.setFloat64(at, value, true) },
};

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function elementsOf({ dtype, shape, bytes }: Tensor): Element[] {
  const count = countOf(shape);
  if (dtype === 'BYTES') {
    let at = 0;
    return Array.from({ length: count }, () => {
      const start = at + 4;
      at = start + bytes.readUInt32LE(at);
      return bytes.subarray(start, at);
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { width, get } = STORAGE[dtype];
  return Array.from({ length: count }, (_element, index) => get(view, index * width));
}

export function tensorOf(dtype: DType, shape: readonly number[], elements: readonly Element[]): Tensor {
  if (dtype === 'BYTES') {
    const parts = (elements as readonly Buffer[]).flatMap((element) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(element.length);
      return [length, element];
    });
    return { dtype, shape, bytes: Buffer.concat(parts) };
  }
  const { width, set } = STORAGE[dtype];
  const bytes = Buffer.alloc(elements.length * width);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [index, element] of elements.entries()) set(view, index * width, element as never);
  return { dtype, shape, bytes };
}

/** The element as the dtype holds it: a JSON number stands for the nearest FP32. */
export function roundTo(dtype: DType, element: Element): Element {
  return elementsOf(tensorOf(dtype, [1], [element]))[0]!;
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'FP16' || dtype === 'FP32' || dtype === 'FP64';
}

/** The entries along the first dimension. */
export function rowsOf(tensor: Tensor): Tensor[] {
  const [count = 0, ...shape] = tensor.shape;
  const elements = elementsOf(tensor);
  const size = countOf(shape);
  return Array.from({ length: count }, (_row, index) => tensorOf(tensor.dtype, shape, elements.slice(index * size, (index + 1) * size)));
}
