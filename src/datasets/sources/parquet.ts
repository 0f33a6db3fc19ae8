import { type FileHandle, open } from 'node:fs/promises';
import { type AsyncBuffer, parquetScan, parquetSchema, type ParquetScan } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { RowGroup, Source, SourceFile, Value } from '../source.ts';
import { BadRow, createObjectColumns } from './object-columns.ts';

const GROUP_ROWS = 512;

async function asyncBufferOf(file: FileHandle): Promise<AsyncBuffer> {
  const { size } = await file.stat();
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(Math.max(0, end - start));
      for (let at = 0; at < bytes.length;) {
        const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
        if (bytesRead === 0) throw new Error('the file ends too early');
        at += bytesRead;
      }
      return bytes.buffer;
    },
  };
}

/** Days as their date, moments as ISO 8601; bytes are no value of a table. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString().replace('T00:00:00.000Z', '');
  if (value instanceof Uint8Array) throw new BadRow('holds bytes, which are read as texts only when the file says that they are');
  return value ?? null;
}

/** Apache Parquet. The columns of one row group are in memory at a time. */
export function createParquetSource(file: SourceFile): Source {
  async function* readGroups(scan: ParquetScan, onBadRow: (place: string, reason: string) => void): AsyncGenerator<RowGroup> {
    const { columns, readRow, meetEmpty } = createObjectColumns();
    const names = parquetSchema(scan.metadata).children.map(({ element }) => element.name);
    for (const { rowStart, rowEnd } of scan.ranges) {
      const data = await Promise.all(names.map((column) => scan.readColumn({ column, rowStart, rowEnd })));
      for (let first = rowStart; first < rowEnd; first += GROUP_ROWS) {
        const rows: Value[][] = [];
        const numbers: number[] = [];
        for (let row = first; row < Math.min(rowEnd, first + GROUP_ROWS); row += 1) {
          try {
            rows.push(readRow(names.map((name, index) => [name, plain(data[index]![row - rowStart])] as const)));
            numbers.push(row + 1);
          } catch (error) {
            if (!(error instanceof BadRow)) throw error;
            onBadRow(`row ${row + 1}`, error.message);
          }
        }
        yield { columns, rows, place: (index) => `row ${numbers[index]}` };
      }
    }
    meetEmpty();
    yield { columns, rows: [], place: () => '' };
  }

  return {
    format: 'parquet',
    async *rows(onBadRow) {
      const handle = await open(file.path);
      try {
        const scan = await parquetScan({ file: await asyncBufferOf(handle), compressors });
        yield* readGroups(scan, onBadRow);
      } catch (error) {
        // The reader has no error of its own kind: what it throws says that the file is not as it should be.
        if (error instanceof SlipwayError) throw error;
        throw new SlipwayError('INVALID_DATASET', `${file.name} cannot be read as Parquet: ${messageOf(error)}.`, { cause: error });
      } finally {
        await handle.close();
      }
    },
  };
}
