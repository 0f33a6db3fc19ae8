import { CsvError, parse } from 'csv-parse/sync';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { TableColumn } from '../../packages/manifest.ts';
import type { TableRow } from '../../preprocessing/table.ts';
import { decodeJsonTensor } from '../../tensor/json-decode.ts';
import { encodeJsonTensor } from '../../tensor/json-encode.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import type { TensorSpec } from '../../tensor/signature.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/*
 * CSV as SageMaker's built-in algorithms take it (Common Data Formats for Inference): a row for each example, the features
 * in the order of the model's columns, no header. A header is understood where the model names its columns.
 */

/** What is in no number and between none. */
const NO_NUMBER = /[^-+.\deE, \t\r\n]/;

function invalid(message: string, cause?: unknown): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', message, { cause });
}

/** A value of a cell; empty is missing. What does not fit its column is left as text, for the error that names it. */
function cellValue(text: string, { kind }: TableColumn): string | number | boolean | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (kind === 'category') return text;
  if (kind === 'boolean' && /^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === 'true';
  const number = Number(trimmed);
  return Number.isFinite(number) ? number : text;
}

/** Rows for a model of a table. @throws SlipwayError INVALID_REQUEST when the text is no CSV, or a row has another count of columns. */
export function readTableRows(body: Buffer, columns: readonly TableColumn[]): TableRow[] {
  let cells: string[][];
  try {
    cells = parse(body, { bom: true, skip_empty_lines: true, relax_column_count: true });
  } catch (error) {
    if (error instanceof CsvError) throw invalid(`The body is not valid CSV: ${error.message}.`, error);
    throw error;
  }
  const byName = new Map(columns.map((column) => [column.name, column]));
  const [first] = cells;
  const hasHeader = first !== undefined && first.every((name) => byName.has(name));
  const ordered = hasHeader ? first.map((name) => byName.get(name)!) : columns;
  return (hasHeader ? cells.slice(1) : cells).map((row, index) => {
    if (row.length !== ordered.length) {
      const names = ordered.map(({ name }) => `"${name}"`).join(', ');
      throw invalid(`Row ${index + 1} of the CSV has ${row.length} columns; the model has ${ordered.length}: ${names}.`);
    }
    return Object.fromEntries(row.map((cell, place) => [ordered[place]!.name, cellValue(cell, ordered[place]!)]));
  });
}

/**
 * Rows of numbers as the tensor of an input: a row for each example, in the shape of an example where its numbers fill it.
 * @throws SlipwayError INVALID_REQUEST when a row holds something else; INVALID_TENSOR when rows differ in length.
 */
export function readNumberRows(body: Buffer, { dtype, shape }: TensorSpec): Tensor {
  const text = body.toString('utf8').trim();
  const strange = text.search(NO_NUMBER);
  if (text === '' || strange !== -1) {
    const row = text.slice(0, Math.max(strange, 0)).split('\n').length;
    throw invalid(text === '' ? 'The CSV has no rows.' : `Row ${row} of the CSV holds something that is no number: ${text[strange]}.`);
  }
  let tensor: Tensor;
  try {
    // As JSON it is read by the scanner, many times as fast as cell by cell.
    const rows = parseJson(Buffer.from(`[[${text.replaceAll(/\r?\n/g, '],[')}]]`));
    tensor = decodeJsonTensor(rows, { dtype, path: 'rows' });
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code !== 'INVALID_JSON') throw error;
    throw invalid('The CSV must be rows of numbers such as 5.1,3.5,-1e-3, with no empty cells.', error);
  }
  const [rows = 0, columns = 0] = tensor.shape;
  const example = shape?.slice(1) ?? [columns];
  const fills = !example.includes(-1) && example.reduce((product, size) => product * size, 1) === columns;
  return fills ? { ...tensor, shape: [rows, ...example] } : tensor;
}

/** A tensor of numbers as CSV, a row for each example. */
export function writeRows({ dtype, shape, data }: Tensor): string {
  const rows = shape[0] ?? 1;
  if (data.length === 0) return '';
  const text = encodeJsonTensor({ dtype, shape: [rows, data.length / rows], data }, { nonFinite: true, point: true });
  return `${text.slice(2, -2).replaceAll('],[', '\n')}\n`;
}
