import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DatasetFormat, Split } from '../dataset.ts';
import type { Source, SourceColumn, Value } from '../source.ts';
import { groupRowsOf, readFixedRows } from './fixed-rows.ts';

/** An array in a file whose first dimension are the rows of the dataset. */
export interface SourceArray {
  /** For messages. */
  readonly name: string;
  /** What its rows are one value of. */
  readonly column: SourceColumn;
  /** The split that all of its rows are for, when its name says one. */
  readonly split: Split | undefined;
  readonly rows: number;
  readonly rowBytes: number;
  readonly headerBytes: number;
  open(): Promise<AsyncIterable<Buffer>>;
  /** The values of the rows of a group. */
  decode(group: Buffer): Value[];
}

function invalid(message: string): SlipwayError {
  return new SlipwayError('INVALID_DATASET', message);
}

/** The arrays of one split, in the order of the columns. */
interface Part {
  readonly split: Split | undefined;
  readonly arrays: readonly SourceArray[];
  readonly rows: number;
}

function sameColumn(a: SourceColumn, b: SourceColumn): boolean {
  return a.kind === b.kind && a.dtype === b.dtype && a.shape?.join() === b.shape?.join();
}

function shapeText({ shape = [], dtype = 'uint8' }: SourceColumn): string {
  return shape.length === 0 ? 'of one value' : `${shape.join('×')}${dtype === 'uint8' ? '' : ` ${dtype}`}`;
}

function checkPart(columns: readonly SourceColumn[], split: Split | undefined, given: readonly SourceArray[]): Part {
  const of = split === undefined ? '' : ` for ${split}`;
  const arrays = columns.map((column) => {
    const [array, second] = given.filter((each) => each.column.name === column.name);
    if (array === undefined) throw invalid(`There is no "${column.name}"${of}, though there is a "${given[0]!.column.name}".`);
    if (second !== undefined) throw invalid(`${array.name} and ${second.name} are both the "${column.name}"${of}.`);
    if (!sameColumn(array.column, column))
      throw invalid(`${array.name} has rows of the shape ${shapeText(array.column)}; other splits have ${shapeText(column)}.`);
    return array;
  });
  const [first] = arrays as [SourceArray];
  const other = arrays.find(({ rows }) => rows !== first.rows);
  if (other !== undefined) throw invalid(`${first.name} has ${first.rows} rows and ${other.name} ${other.rows}.`);
  return { split, arrays, rows: first.rows };
}

async function* readPart({ split, arrays }: Part, columns: readonly SourceColumn[]): AsyncGenerator<{ rows: Value[][]; first: number }> {
  const groupRows = groupRowsOf(arrays.reduce((sum, { rowBytes }) => sum + rowBytes, 0));
  const readers = await Promise.all(arrays.map(async (array) => readFixedRows({ ...array, content: await array.open(), groupRows })));
  let first = 0;
  try {
    for (;;) {
      const groups = await Promise.all(readers.map((reader) => reader.next()));
      if (groups.every(({ done }) => done === true)) return;
      const values = groups.map((group, index) => arrays[index]!.decode(group.value as Buffer));
      const rows = values[0]!.map((_value, row) => [
        ...values.map((each) => each[row]),
        ...(columns.length > arrays.length ? [split] : []),
      ]);
      yield { rows, first };
      first += rows.length;
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.return(undefined)));
  }
}

/**
 * Arrays side by side as the columns of a dataset. When their names say splits, these follow one another.
 * @throws SlipwayError INVALID_DATASET when they do not fit together.
 */
export function createArraySource(format: DatasetFormat, arrays: readonly SourceArray[]): Source {
  const parts = [...Map.groupBy(arrays, ({ split }) => split)];
  const own = [...new Map(parts[0]![1].map(({ column }) => [column.name, column])).values()];
  const checked = parts.map(([split, given]) => {
    const extra = given.find(({ column }) => !own.some(({ name }) => name === column.name));
    if (extra !== undefined) throw invalid(`${extra.name}: there is no "${extra.column.name}" beside the "${own[0]!.name}".`);
    return checkPart(own, split, given);
  });
  const columns: SourceColumn[] = parts.length > 1 ? [...own, { name: 'split', kind: 'label', isSplit: true }] : own;
  return {
    format,
    async *rows() {
      for (const part of checked) {
        for await (const { rows, first } of readPart(part, columns)) {
          yield { columns, rows, place: (index) => `row ${first + index + 1} of ${part.arrays[0]!.name}` };
        }
      }
    },
  };
}
