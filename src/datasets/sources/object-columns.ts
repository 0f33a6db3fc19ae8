import type { SourceColumn, Value } from '../source.ts';

/** What cannot be a row; the message says why. */
export class BadRow extends Error {}

/** Shape of a nested array by its first elements; the flat numbers are found when it is read. */
function shapeOf(value: readonly unknown[]): number[] {
  const shape: number[] = [];
  for (let inner: unknown = value; Array.isArray(inner); inner = (inner as unknown[])[0]) shape.push((inner as unknown[]).length);
  return shape;
}

/** A list of texts; without any it is no value. */
function textsIn(value: unknown): readonly string[] | null {
  if (value === null) return null;
  if (!Array.isArray(value)) throw new BadRow('is a single value, but a list of texts in other rows');
  const other = value.findIndex((each) => typeof each !== 'string' || each === '');
  if (other >= 0) throw new BadRow(`is a list of texts, but element ${other} is ${JSON.stringify(value[other]) ?? 'none'}`);
  return value.length === 0 ? null : (value as string[]);
}

function flatten(value: unknown, shape: readonly number[], axis: number, target: Float32Array, at: number): number {
  if (axis === shape.length) {
    if (typeof value !== 'number' && typeof value !== 'bigint') throw new BadRow('is an array that holds something else than numbers');
    target[at] = Number(value);
    return at + 1;
  }
  if (!Array.isArray(value) || value.length !== shape[axis]) {
    throw new BadRow(`is an array of another shape than [${shape.join(', ')}], which it has in the first row`);
  }
  let next = at;
  for (const each of value) next = flatten(each, shape, axis + 1, target, next);
  return next;
}

/** The columns of rows that are objects: what each of them holds is said by its first value. */
export interface ObjectColumns {
  /** Those that have been met so far. */
  readonly columns: readonly SourceColumn[];
  /** The values of a row in the order of the columns. @throws BadRow */
  readRow(entries: Iterable<readonly [name: string, value: unknown]>): Value[];
  /** From here on the columns that never had a value are columns too. */
  meetEmpty(): void;
}

export function createObjectColumns(): ObjectColumns {
  const columns: SourceColumn[] = [];
  const places = new Map<string, number>();
  /** Columns that had no value yet: what they are is not known. */
  const empty = new Set<string>();

  function placeOf(name: string, value: unknown): number | undefined {
    const place = places.get(name);
    if (place !== undefined) return place;
    // Of what an empty list is a list, later rows say.
    if (value === null || (Array.isArray(value) && value.length === 0)) {
      empty.add(name);
      return undefined;
    }
    empty.delete(name);
    places.set(name, columns.length);
    if (!Array.isArray(value)) columns.push({ name, kind: 'value' });
    else if (typeof value[0] === 'string') columns.push({ name, kind: 'list' });
    else columns.push({ name, kind: 'array', dtype: 'float32', shape: shapeOf(value) });
    return columns.length - 1;
  }

  function read(value: unknown, { name, kind, shape }: SourceColumn): Value {
    try {
      if (kind === 'list') return textsIn(value);
      if (kind === 'array') {
        if (value === null) return null;
        const target = new Float32Array(shape!.reduce((product, size) => product * size, 1));
        flatten(value, shape!, 0, target, 0);
        return target;
      }
      if (Array.isArray(value)) throw new BadRow('is an array, but a single value in other rows');
      if (typeof value === 'object' && value !== null)
        throw new BadRow('is an object; values are texts, numbers, booleans, arrays of numbers and lists of texts');
      // An integer that no double holds is an identifier.
      if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
      return value as Value;
    } catch (error) {
      if (error instanceof BadRow) throw new BadRow(`"${name}" ${error.message}`);
      throw error;
    }
  }

  return {
    columns,
    readRow(entries) {
      const values: Value[] = [];
      for (const [name, value] of entries) {
        const place = placeOf(name, value);
        if (place !== undefined) values[place] = read(value, columns[place]!);
      }
      return values;
    },
    meetEmpty() {
      for (const name of empty) columns.push({ name, kind: 'value' });
      empty.clear();
    },
  };
}
