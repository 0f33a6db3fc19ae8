import { SlipwayError } from '../../errors/slipway-error.ts';
import type { StoredColumn } from '../records/layout.ts';
import type { RecordViews } from '../records/record-views.ts';

/** Reads the number in a cell of the storage `number`; NaN when missing. */
export type NumberReader = (views: RecordViews, record: number) => number;

export function numberReader({ cell }: StoredColumn, recordBytes: number): NumberReader {
  const stride = recordBytes / 8;
  const offset = cell.offset / 8;
  return ({ doubles }, record) => doubles[record * stride + offset]!;
}

/** Reads the code of the text in a cell of the storage `string`; -1 when missing, or when the text has none. */
export function codeReader({ cell }: StoredColumn, recordBytes: number): NumberReader {
  const stride = recordBytes / 4;
  const offset = cell.offset / 4 + 3;
  return ({ integers }, record) => integers[record * stride + offset]!;
}

/** @throws SlipwayError COLUMN_NOT_FOUND */
export function columnNamed(columns: readonly StoredColumn[], name: string, use: string): StoredColumn {
  const column = columns.find((each) => each.name === name);
  if (column !== undefined) return column;
  const names = columns.map((each) => `"${each.name}"`).join(', ');
  throw new SlipwayError('COLUMN_NOT_FOUND', `The ${use} "${name}" is no column of the dataset; it has ${names}.`, {
    details: [{ path: use, message: `"${name}" is no column of the dataset` }],
  });
}
