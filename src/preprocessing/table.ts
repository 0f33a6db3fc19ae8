import { type ErrorDetail, SlipwayError } from '../errors/slipway-error.ts';
import type { TableColumn, TablePreprocessing } from '../packages/manifest.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Elements of a column in the tensor of a table. */
export function columnWidth(column: TableColumn): number {
  switch (column.kind) {
    case 'category':
      return column.categories.length;
    case 'vector':
      return column.shape.reduce((product, size) => product * size, 1);
    default:
      return 1;
  }
}

/** Shape of one row: a vector that is alone keeps its own, all else lies one behind the other. */
export function tableShape(columns: readonly TableColumn[]): number[] {
  const [only] = columns;
  if (columns.length === 1 && only?.kind === 'vector') return only.shape;
  return [columns.reduce((width, column) => width + columnWidth(column), 0)];
}

/** A row of a table as it comes in a request. */
export type TableRow = Readonly<Record<string, unknown>>;

const MAX_DETAILS = 20;
/** Categories that a message lists. */
const MAX_LISTED = 20;

function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function flatten(value: unknown, shape: readonly number[], axis: number, target: number[]): boolean {
  if (axis === shape.length) return typeof value === 'number' && target.push(value) > 0;
  return Array.isArray(value) && value.length === shape[axis] && value.every((each) => flatten(each, shape, axis + 1, target));
}

/** Writes one value. @returns what is wrong with it, if anything is. */
function writeValue(value: unknown, column: TableColumn, data: Float32Array, at: number): string | undefined {
  const isMissing = value === undefined || value === null;
  switch (column.kind) {
    case 'category': {
      if (isMissing) return column.missing === 'ignore' ? undefined : 'is missing';
      // Numbers and truths may be categories; they are known by their texts.
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
        return `must be a text, not ${shown(value)}`;
      const index = column.categories.indexOf(String(value));
      if (index >= 0) data[at + index] = 1;
      else if (column.unknown === 'refuse') {
        const { categories } = column;
        const listed = categories.slice(0, MAX_LISTED).map((each) => `"${each}"`);
        return `is ${shown(value)}, which is none of its categories: ${listed.join(', ')}${categories.length > MAX_LISTED ? ', …' : ''}`;
      }
      return undefined;
    }
    case 'vector': {
      const values: number[] = [];
      if (isMissing) return 'is missing';
      if (!flatten(value, column.shape, 0, values)) return `must be numbers in the shape [${column.shape.join(', ')}]`;
      for (const [index, each] of values.entries()) data[at + index] = (each - column.mean) / column.std;
      return undefined;
    }
    default: {
      const read = isMissing ? column.missing : column.kind === 'boolean' && typeof value === 'boolean' ? Number(value) : value;
      if (read === undefined) return 'is missing';
      if (typeof read !== 'number' || (column.kind === 'boolean' && !isMissing && read !== 0 && read !== 1)) {
        return `must be a ${column.kind}, not ${shown(value)}`;
      }
      data[at] = (read - column.mean) / column.std;
      return undefined;
    }
  }
}

/**
 * Makes the input tensor of a model from rows of a table: FP32 of the shape [N, …], as `TableColumn` says.
 * @throws SlipwayError INVALID_ROW with a detail for each value that is missing, unknown or of the wrong type.
 */
export function preprocessTable(rows: readonly TableRow[], { columns }: TablePreprocessing): Tensor {
  const shape = tableShape(columns);
  const widths = columns.map(columnWidth);
  const width = widths.reduce((sum, each) => sum + each, 0);
  const data = new Float32Array(rows.length * width);
  const names = new Set(columns.map(({ name }) => name));
  const details: ErrorDetail[] = [];
  for (const [index, row] of rows.entries()) {
    let at = index * width;
    for (const [place, column] of columns.entries()) {
      const problem = writeValue(Object.hasOwn(row, column.name) ? row[column.name] : undefined, column, data, at);
      if (problem !== undefined) details.push({ path: `inputs[${index}].${column.name}`, message: problem });
      at += widths[place]!;
    }
    for (const name of Object.keys(row)) {
      if (!names.has(name))
        details.push({
          path: `inputs[${index}].${name}`,
          message: `is no column of the model, which has ${[...names].map((each) => `"${each}"`).join(', ')}`,
        });
    }
    if (details.length >= MAX_DETAILS) break;
  }
  const [first] = details;
  if (first !== undefined)
    throw new SlipwayError('INVALID_ROW', `${first.path} ${first.message}.`, { details: details.slice(0, MAX_DETAILS) });
  return { dtype: 'FP32', shape: [rows.length, ...shape], data };
}
