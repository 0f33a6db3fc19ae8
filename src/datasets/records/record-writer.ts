import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Cell, type RecordLayout } from './layout.ts';
import { createRecordViews } from './record-views.ts';

export const RECORDS_FILE = 'records.bin';
export const HEAP_FILE = 'heap.bin';

const BUFFER_BYTES = 1024 * 1024;

/** Appends to a file through a buffer. */
function createAppender(path: string): {
  append(bytes: Uint8Array): void;
  appendText(text: string): number;
  readonly length: number;
  close(): void;
} {
  const file = openSync(path, 'w', 0o644);
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let used = 0;
  let written = 0;

  function writeWhole(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done);
    written += bytes.length;
  }

  function flush(): void {
    writeWhole(buffer.subarray(0, used));
    used = 0;
  }

  function append(bytes: Uint8Array): void {
    if (used + bytes.length > BUFFER_BYTES) flush();
    if (bytes.length > BUFFER_BYTES) writeWhole(bytes);
    else {
      buffer.set(bytes, used);
      used += bytes.length;
    }
  }

  return {
    append,
    /** @returns the bytes of the text. */
    appendText(text) {
      // UTF-8 takes at most three bytes for each UTF-16 unit.
      if (text.length * 3 > BUFFER_BYTES) {
        const bytes = Buffer.from(text);
        append(bytes);
        return bytes.length;
      }
      if (used + text.length * 3 > BUFFER_BYTES) flush();
      const length = buffer.write(text, used);
      used += length;
      return length;
    },
    get length() {
      return written + used;
    },
    close() {
      try {
        flush();
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    },
  };
}

/** Writes the records of a dataset, one after the other: set every cell, then end the record. */
export interface RecordWriter {
  /** @param value NaN when missing. */
  number(cell: Cell, value: number): void;
  missingString(cell: Cell): void;
  /** @param code as `Storage` says. A text with a code is written once. */
  string(cell: Cell, text: string, code: number): void;
  bytes(cell: Cell, bytes: Uint8Array): void;
  array(cell: Cell, values: ArrayLike<number>): void;
  endRecord(): void;
  /** What has been written so far, in both files. */
  readonly length: number;
  /** Writes what is buffered and makes it durable. @returns the bytes of both files. */
  close(): number;
}

/** Writes synchronously: it is for a process that does nothing else. */
export function createRecordWriter(folder: string, { recordBytes }: RecordLayout): RecordWriter {
  const records = createAppender(join(folder, RECORDS_FILE));
  const heap = createAppender(join(folder, HEAP_FILE));
  const { bytes: record, doubles, floats, integers } = createRecordViews(recordBytes);
  /** Where the text of each code is, for each cell. */
  const known = new Map<Cell, { readonly offsets: number[]; readonly lengths: number[] }>();

  function place(cell: Cell, offset: number, length: number, code: number): void {
    doubles[cell.offset / 8] = offset;
    integers[cell.offset / 4 + 2] = length;
    integers[cell.offset / 4 + 3] = code;
  }

  return {
    number(cell, value) {
      doubles[cell.offset / 8] = value;
    },
    missingString(cell) {
      place(cell, -1, 0, -1);
    },
    string(cell, text, code) {
      let places = known.get(cell);
      if (places === undefined) known.set(cell, (places = { offsets: [], lengths: [] }));
      let offset = code < 0 ? undefined : places.offsets[code];
      if (offset === undefined) {
        offset = heap.length;
        const length = heap.appendText(text);
        if (code < 0) return place(cell, offset, length, code);
        places.offsets[code] = offset;
        places.lengths[code] = length;
      }
      place(cell, offset, places.lengths[code]!, code);
    },
    bytes(cell, bytes) {
      place(cell, heap.length, bytes.length, -1);
      heap.append(bytes);
    },
    array({ offset, storage }, values) {
      if (storage.kind !== 'array' || storage.dtype === 'uint8') record.set(values, offset);
      else (storage.dtype === 'int32' ? integers : floats).set(values, offset / 4);
    },
    endRecord() {
      records.append(record);
    },
    get length() {
      return records.length + heap.length;
    },
    close() {
      const total = records.length + heap.length;
      try {
        records.close();
      } finally {
        heap.close();
      }
      return total;
    },
  };
}
