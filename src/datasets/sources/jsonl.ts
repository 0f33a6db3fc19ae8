import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { OnBadRow, Source, SourceFile, Value } from '../source.ts';
import { readContent } from './file-bytes.ts';
import { BadRow, createObjectColumns } from './object-columns.ts';

export interface JsonlOptions {
  /** Longest line, in bytes. */
  readonly maxRowLength: number;
}

const GROUP_ROWS = 512;
const LINE_FEED = 0x0a;

/** The lines of a content, without their ends. */
async function* linesOf(content: AsyncIterable<Buffer>, maxBytes: number, file: string): AsyncGenerator<Buffer> {
  const pending: Buffer[] = [];
  let pendingBytes = 0;
  const checkLength = (): void => {
    if (pendingBytes > maxBytes) throw new SlipwayError('INVALID_DATASET', `${file} has a line of more than ${maxBytes} bytes.`);
  };
  const take = (): Buffer => {
    const line = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
    pending.length = 0;
    pendingBytes = 0;
    return line;
  };
  for await (const chunk of content) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      pending.push(chunk.subarray(start, end));
      pendingBytes += end - start;
      checkLength();
      yield take();
      start = end + 1;
    }
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    checkLength();
  }
  if (pendingBytes > 0) yield take();
}

function parseLine(line: Buffer): [string, unknown][] {
  let row: unknown;
  try {
    row = JSON.parse(line.toString('utf8'));
  } catch (error) {
    throw new BadRow(`is not valid JSON: ${messageOf(error)}`);
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new BadRow('is no JSON object; each line must be one');
  return Object.entries(row);
}

/** Rows as JSON objects, one a line (JSON Lines), UTF-8, maybe gzipped. */
export function createJsonlSource(file: SourceFile, { maxRowLength }: JsonlOptions): Source {
  return {
    format: 'jsonl',
    async *rows(onBadRow: OnBadRow) {
      const { columns, readRow, meetEmpty } = createObjectColumns();
      let rows: Value[][] = [];
      let lines: number[] = [];
      let number = 0;
      for await (const line of linesOf(await readContent(file.path), maxRowLength, file.name)) {
        number += 1;
        if (line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) continue;
        try {
          rows.push(readRow(parseLine(line)));
          lines.push(number);
        } catch (error) {
          if (!(error instanceof BadRow)) throw error;
          onBadRow(`line ${number}`, error.message);
        }
        if (rows.length < GROUP_ROWS) continue;
        const group = lines;
        yield { columns, rows, place: (index) => `line ${group[index]}` };
        rows = [];
        lines = [];
      }
      meetEmpty();
      yield { columns, rows, place: (index) => `line ${lines[index]}` };
    },
  };
}
