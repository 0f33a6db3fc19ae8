import { SlipwayError } from '../../errors/slipway-error.ts';
import { splitText } from '../../preprocessing/tokenizer.ts';
import type { ColumnType } from '../dataset.ts';
import type { Storage } from '../records/layout.ts';
import type { SourceColumn, Value } from '../source.ts';
import { type TextReader, textOf } from './read-value.ts';

/** What is known of a column so far, as far as it decides how its values are read and stored. */
export interface ColumnSketch {
  readonly source: SourceColumn;
  /** Given by the owner of the data; what does not fit it makes a bad row. */
  readonly given: ColumnType | undefined;
  sawNumber: boolean;
  sawBoolean: boolean;
  sawText: boolean;
}

const SCALAR_TYPES: readonly ColumnType[] = ['number', 'integer', 'boolean', 'category', 'text'];
/** A text that is given as tokens is split at white space. */
const TEXT_TYPES: readonly ColumnType[] = [...SCALAR_TYPES, 'tokens'];

/** The types that the owner of the data may give to a column. */
const POSSIBLE_TYPES: Readonly<Record<SourceColumn['kind'], readonly ColumnType[]>> = {
  text: TEXT_TYPES,
  value: TEXT_TYPES,
  list: ['tokens'],
  label: ['category', 'text'],
  array: ['image', 'vector'],
  image: ['image'],
};

/** A value that does not fit its column: the row is bad. */
export class UnfitValue extends Error {}

/** @throws SlipwayError INVALID_DATASET when the given type is none that the column can have. */
export function createColumnSketch(source: SourceColumn, given: ColumnType | undefined): ColumnSketch {
  const possible = POSSIBLE_TYPES[source.kind];
  if (given !== undefined && !(possible.includes(given) && (given !== 'image' || source.kind === 'image' || source.isImage === true))) {
    throw new SlipwayError('INVALID_DATASET', `"${source.name}" cannot be of the type ${given}.`);
  }
  return { source, given, sawNumber: false, sawBoolean: false, sawText: false };
}

/** Whether a value is a list of texts. */
export function isList({ source, given }: Pick<ColumnSketch, 'source' | 'given'>): boolean {
  return source.kind === 'list' || given === 'tokens';
}

/** How the column is to be stored, after what has been seen of it. */
export function storageOf({ source, given, sawNumber, sawBoolean, sawText }: ColumnSketch): Storage {
  if (source.kind === 'image') return { kind: 'bytes' };
  if (source.kind === 'array') return { kind: 'array', dtype: source.dtype!, shape: source.shape! };
  if (isList({ source, given })) return { kind: 'string' };
  if (source.kind === 'label' || given === 'category' || given === 'text') return { kind: 'string' };
  if (given !== undefined) return { kind: 'number' };
  return sawText || (sawNumber && sawBoolean) ? { kind: 'string' } : { kind: 'number' };
}

function unfit({ source: { name } }: ColumnSketch, value: Value, wanted: string): UnfitValue {
  return new UnfitValue(`"${name}" is ${JSON.stringify(value)}, which is no ${wanted}`);
}

/**
 * A value with the type that it has; undefined for none.
 * @param readText finds what a text says.
 * @throws UnfitValue
 */
export function readValue(value: Value, sketch: ColumnSketch, readText: TextReader): Value {
  const { source, given } = sketch;
  if (source.kind === 'image') return value;
  if (source.kind === 'array') {
    if (value === null || value === undefined) throw new UnfitValue(`"${source.name}" is missing; an array must be there in every row`);
    if (value instanceof Float32Array && !value.every(Number.isFinite))
      throw new UnfitValue(`"${source.name}" holds NaN or an infinite number`);
    return value;
  }
  if (value === null || value === undefined) return undefined;
  if (source.kind === 'list') return value;
  if (given === 'tokens') {
    const tokens = splitText(textOf(value as string | number | boolean), 'list');
    return tokens.length === 0 ? undefined : tokens;
  }
  if (source.kind === 'label') return value;
  const isTyped = given === 'number' || given === 'integer' || given === 'boolean';
  const read = typeof value === 'string' && (source.kind === 'text' || isTyped) ? readText(value) : value;
  if (typeof read === 'number' && !Number.isFinite(read)) {
    if (Number.isNaN(read)) return undefined;
    throw new UnfitValue(`"${source.name}" is infinite`);
  }
  if (read === undefined || !isTyped) return read;
  if (given === 'boolean') {
    if (typeof read !== 'boolean' && read !== 0 && read !== 1) throw unfit(sketch, value, 'boolean');
  } else if (typeof read !== 'number') throw unfit(sketch, value, 'number');
  else if (given === 'integer' && !Number.isSafeInteger(read)) throw unfit(sketch, value, 'integer');
  return read;
}

/** Remembers what a value is. @returns whether that is new. */
export function noteValue(value: Value, sketch: ColumnSketch): boolean {
  switch (typeof value) {
    case 'number':
      if (sketch.sawNumber) return false;
      return (sketch.sawNumber = true);
    case 'boolean':
      if (sketch.sawBoolean) return false;
      return (sketch.sawBoolean = true);
    case 'string':
      if (sketch.sawText) return false;
      return (sketch.sawText = true);
    default:
      return false;
  }
}
