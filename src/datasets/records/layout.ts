import type { ColumnType } from '../dataset.ts';

/**
 * How a column lies in a record. `bytes` is 16 bytes: the place of the bytes in the heap as a double and how many they
 * are as a 32-bit integer; four more are not used. `number` is a double, NaN when missing. `string` is 16 bytes: the place of the text in
 * the heap as a double (-1 when missing), its length in bytes and its code as 32-bit integers; the code counts the
 * different texts of the column in the order of their coming, and is -1 for texts beyond the first few. Tokens are texts, too: the list as JSON.
 * `array` is a run of numbers.
 */
export type Storage =
  | { readonly kind: 'number' }
  | { readonly kind: 'string' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'array'; readonly dtype: ArrayDType; readonly shape: readonly number[] };

export const ARRAY_TYPES = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array } as const;
export type ArrayDType = keyof typeof ARRAY_TYPES;

/** Where a column is in each record. */
export interface Cell {
  /** In bytes from the start of the record. */
  readonly offset: number;
  readonly storage: Storage;
}

export interface StoredColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly cell: Cell;
  /** The texts by their codes, when the column is a category. */
  readonly dictionary?: readonly string[];
  /** Of tokens: SHA-256 of how many each row has; equal ones mean as many in every row. */
  readonly lengthsDigest?: string;
}

export interface RecordLayout {
  /** A multiple of 8, so that doubles are aligned in every record. */
  readonly recordBytes: number;
  /** In the order of the columns. */
  readonly cells: readonly Cell[];
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function widthOf(storage: Storage): number {
  switch (storage.kind) {
    case 'number':
      return 8;
    case 'string':
    case 'bytes':
      return 16;
    default:
      return elementsOf(storage.shape) * ARRAY_TYPES[storage.dtype].BYTES_PER_ELEMENT;
  }
}

function alignmentOf(storage: Storage): number {
  return storage.kind === 'array' ? ARRAY_TYPES[storage.dtype].BYTES_PER_ELEMENT : 8;
}

/** Places the columns in a record, the most aligned first, so that every number lies at a multiple of its size. */
export function layRecord(storages: readonly Storage[]): RecordLayout {
  const offsets = Array<number>(storages.length).fill(0);
  let end = 0;
  for (const alignment of [8, 4, 1]) {
    for (const [index, storage] of storages.entries()) {
      if (alignmentOf(storage) !== alignment) continue;
      end = Math.ceil(end / alignment) * alignment;
      offsets[index] = end;
      end += widthOf(storage);
    }
  }
  return {
    recordBytes: Math.ceil(end / 8) * 8,
    cells: storages.map((storage, index) => ({ offset: offsets[index]!, storage })),
  };
}
