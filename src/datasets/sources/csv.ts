import { CsvError, parse } from 'csv-parse';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Source, SourceColumn, SourceFile } from '../source.ts';
import { readContent, readHead } from './file-bytes.ts';

export interface CsvOptions {
  /** One character. Default: of comma, semicolon, tab and bar the one that is most in the first line. */
  readonly delimiter?: string | undefined;
  /** Whether the first line has the names of the columns. Default: unless every cell of it is a number. */
  readonly header?: boolean | undefined;
  /** Longest row, in characters. */
  readonly maxRowLength: number;
}

const HEAD_BYTES = 64 * 1024;
const GROUP_ROWS = 512;
const DELIMITERS = [',', ';', '\t', '|'];

/** The delimiter that is most often in the first line, quoted parts left out. */
function findDelimiter(head: string): string {
  const firstLine = /^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(head)?.[0].replaceAll(/"(?:[^"]|"")*"/g, '') ?? '';
  const count = (delimiter: string): number => firstLine.split(delimiter).length;
  return DELIMITERS.reduce((best, each) => (count(each) > count(best) ? each : best));
}

function checkEncoding(head: Buffer, name: string): void {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16) throw new SlipwayError('INVALID_DATASET', `${name} is UTF-16; save it as UTF-8.`);
  if (head.includes(0)) throw new SlipwayError('INVALID_DATASET', `${name} is no text: it has zero bytes.`);
}

function namesOf(first: readonly string[], hasHeader: boolean, file: string): SourceColumn[] {
  const names = first.map((cell, index) => (hasHeader && cell.trim() !== '' ? cell.trim() : `column_${index + 1}`));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new SlipwayError('INVALID_DATASET', `${file} has two columns with the name "${twice}".`);
  return names.map((name) => ({ name, kind: 'text' }));
}

function isNumber(cell: string): boolean {
  return cell.trim() !== '' && Number.isFinite(Number(cell));
}

/** Rows of comma-separated values (RFC 4180), UTF-8, maybe gzipped. Cells are texts; their types are found later. */
export function createCsvSource(file: SourceFile, options: CsvOptions): Source {
  return {
    format: 'csv',
    async *rows(onBadRow) {
      const head = await readHead(file.path, HEAD_BYTES);
      checkEncoding(head, file.name);
      const delimiter = options.delimiter ?? findDelimiter(head.toString('utf8').replace(/^\uFEFF/, ''));
      let read = 0;
      const parser = parse({
        delimiter,
        bom: true,
        relax_column_count: true,
        skip_empty_lines: true,
        max_record_size: options.maxRowLength,
      });
      const content = await readContent(file.path);
      content.on('error', (error) => parser.destroy(error));
      content.pipe(parser);
      let columns: SourceColumn[] | undefined;
      let rows: string[][] = [];
      let numbers: number[] = [];
      try {
        for await (const row of parser as AsyncIterable<string[]>) {
          if (columns === undefined) {
            const hasHeader = options.header ?? !row.every(isNumber);
            columns = namesOf(row, hasHeader, file.name);
            if (hasHeader) continue;
          }
          read += 1;
          if (row.length !== columns.length) {
            onBadRow(`row ${read}`, `has ${row.length} cells; there are ${columns.length} columns`);
            continue;
          }
          rows.push(row);
          numbers.push(read);
          if (rows.length < GROUP_ROWS) continue;
          const group = numbers;
          yield { columns, rows, place: (index) => `row ${group[index]}` };
          rows = [];
          numbers = [];
        }
      } catch (error) {
        // Where quotes go wrong, nobody can say where the next row begins: that is no single bad row.
        if (error instanceof CsvError) throw new SlipwayError('INVALID_DATASET', `${file.name}: ${error.message}.`, { cause: error });
        throw error;
      } finally {
        content.destroy();
      }
      if (columns !== undefined) yield { columns, rows, place: (index) => `row ${numbers[index]}` };
    },
  };
}
