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

/** The records of a dataset on disk. */
export interface RecordFile {
  readonly recordBytes: number;
  /** Reads the records from `first` on into `views`, at `atRecord` of it. */
  read(first: number, count: number, views: RecordViews, atRecord?: number): Promise<void>;
  /** The text of a cell of type `string`; undefined when missing. */
  readText(views: RecordViews, record: number, cell: Cell): Promise<string | undefined>;
  /** All records in order, some megabytes at a time; the views are used again. */
  scan(): AsyncIterable<{ readonly views: RecordViews; readonly count: number; readonly first: number }>;
  close(): Promise<void>;
}

const SCAN_BYTES = 4 * 1024 * 1024;

export async function openRecordFile(folder: string, recordBytes: number, rows: number): Promise<RecordFile> {
  const records = await open(join(folder, RECORDS_FILE));
  const heap = await open(join(folder, HEAP_FILE));

  async function read(first: number, count: number, views: RecordViews, atRecord = 0): Promise<void> {
    const start = atRecord * recordBytes;
    await readRange(records, views.bytes.subarray(start, start + count * recordBytes), first * recordBytes);
  }

  return {
    recordBytes,
    read,
    async readText({ doubles, integers }, record, { offset }) {
      const base = record * recordBytes + offset;
      const position = doubles[base / 8]!;
      if (position < 0) return undefined;
      const bytes = Buffer.allocUnsafe(integers[base / 4 + 2]!);
      await readRange(heap, bytes, position);
      return bytes.toString('utf8');
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
