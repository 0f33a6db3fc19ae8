import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Cell } from './layout.ts';
import { createRecordViews, type RecordViews } from './record-views.ts';
import { HEAP_FILE, RECORDS_FILE } from './record-writer.ts';

/** Most bytes of one read: Linux reads no more than 2 GiB at once. */
const READ_BYTES = 64 * 1024 * 1024;

/** Reads a range of a file into memory. All pieces are asked for at once, so that they come while others are worked on. */
async function readRange(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  const pieces: Promise<void>[] = [];
  for (let start = 0; start < target.length; start += READ_BYTES) {
    const end = Math.min(target.length, start + READ_BYTES);
    pieces.push(
      (async () => {
        for (let at = start; at < end;) {
          const { bytesRead } = await file.read(target, at, end - at, position + at);
          if (bytesRead === 0) throw new SlipwayError('UNSUITABLE_DATA', 'A file of the dataset is shorter than its description says.');
          at += bytesRead;
        }
      })(),
    );
  }
  await Promise.all(pieces);
}

/** A file of rows of one size. */
export interface RowFile {
  readonly rowBytes: number;
  /** Reads `count` rows from `first` on into `views`, at row `at` of it. */
  read(first: number, count: number, views: RecordViews, at?: number): Promise<void>;
  close(): Promise<void>;
}

/** The records of a dataset on disk. */
export interface RecordFile extends RowFile {
  /** The text of a cell of type `string`; undefined when missing. */
  readText(views: RecordViews, record: number, cell: Cell): Promise<string | undefined>;
  /** The bytes of a cell of type `bytes`. */
  readBytes(views: RecordViews, record: number, cell: Cell): Promise<Buffer>;
  /** All records in order, some megabytes at a time; the views are used again. */
  scan(): AsyncIterable<{ readonly views: RecordViews; readonly count: number; readonly first: number }>;
}

const SCAN_BYTES = 4 * 1024 * 1024;

export async function openRowFile(path: string, rowBytes: number): Promise<RowFile> {
  const file = await open(path);
  return {
    rowBytes,
    async read(first, count, { bytes }, at = 0) {
      await readRange(file, bytes.subarray(at * rowBytes, (at + count) * rowBytes), first * rowBytes);
    },
    close: () => file.close(),
  };
}

export async function openRecordFile(folder: string, recordBytes: number, rows: number): Promise<RecordFile> {
  const records = await openRowFile(join(folder, RECORDS_FILE), recordBytes);
  const heap = await open(join(folder, HEAP_FILE));
  const { read } = records;

  async function readBytes({ doubles, integers }: RecordViews, record: number, { offset }: Cell): Promise<Buffer> {
    const base = record * recordBytes + offset;
    const bytes = Buffer.allocUnsafe(integers[base / 4 + 2]!);
    await readRange(heap, bytes, doubles[base / 8]!);
    return bytes;
  }

  return {
    rowBytes: recordBytes,
    read,
    readBytes,
    async readText(views, record, cell) {
      if (views.doubles[(record * recordBytes + cell.offset) / 8]! < 0) return undefined;
      return (await readBytes(views, record, cell)).toString('utf8');
    },
    async *scan() {
      const step = Math.max(1, Math.floor(SCAN_BYTES / recordBytes));
      let current = createRecordViews(step * recordBytes);
      let spare = createRecordViews(step * recordBytes);
      const countAt = (first: number): number => Math.min(step, rows - first);
      let reading = rows > 0 ? read(0, countAt(0), current) : Promise.resolve();
      for (let first = 0; first < rows; first += step) {
        await reading;
        const next = first + step;
        if (next < rows) reading = read(next, countAt(next), spare);
        // When whoever reads stops early, nobody awaits this one.
        reading.catch(() => {});
        yield { views: current, count: countAt(first), first };
        [current, spare] = [spare, current];
      }
    },
    async close() {
      await records.close();
      await heap.close();
    },
  };
}
