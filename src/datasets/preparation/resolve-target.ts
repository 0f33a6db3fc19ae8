import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Column, PreparationRequest } from '../dataset.ts';
import { ARRAY_TYPES, elementsOf, type StoredColumn } from '../records/layout.ts';
import type { RecordViews } from '../records/record-views.ts';
import { codeReader, columnNamed, type NumberReader, numberReader } from './record-columns.ts';

/** An integer with more different values is a quantity, unless the request says that it is a class. */
const MAX_INTEGER_CLASSES = 100;

/** What is to be predicted, and how it is read from a record. */
export type ResolvedTarget =
  | {
      readonly kind: 'class';
      readonly column: string;
      /** Every class that is in the data. */
      readonly labels: readonly string[];
      /** The index of a record's class in `labels`; -1 when it has none. */
      readonly classOf: NumberReader;
    }
  | {
      readonly kind: 'number';
      readonly column: string;
      /** Numbers of a record. */
      readonly width: number;
      /** Writes them; NaN when missing. */
      readonly read: (views: RecordViews, record: number, target: Float32Array, at: number) => void;
    }
  | {
      /** A label for each token of the feature. */
      readonly kind: 'tags';
      readonly column: string;
      readonly stored: StoredColumn;
      /** Every label that is in the data. */
      readonly labels: readonly string[];
      readonly isMissing: (views: RecordViews, record: number) => boolean;
    }
  | { readonly kind: 'none' };

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'target', message }] });
}

function ascending(a: string, b: string): number {
  return a < b ? -1 : 1;
}

function classTarget(column: StoredColumn, described: Column, recordBytes: number): ResolvedTarget {
  const { name, type, dictionary } = column;
  if (type === 'category') {
    const labels = dictionary!.toSorted(ascending);
    const indexes = dictionary!.map((label) => labels.indexOf(label));
    const codeOf = codeReader(column, recordBytes);
    return { kind: 'class', column: name, labels, classOf: (views, record) => indexes[codeOf(views, record)] ?? -1 };
  }
  const values = described.values?.map(({ value }) => Number(value)).toSorted((a, b) => a - b);
  if (values === undefined) throw unsuitable(`The target "${name}" has too many different values to be classes.`);
  const indexes = new Map(values.map((value, index) => [value, index]));
  const valueOf = numberReader(column, recordBytes);
  return {
    kind: 'class',
    column: name,
    labels: values.map((value) => (type === 'boolean' ? String(value === 1) : String(value))),
    classOf: (views, record) => indexes.get(valueOf(views, record)) ?? -1,
  };
}

function numberTarget(column: StoredColumn, recordBytes: number): ResolvedTarget {
  const { name, cell } = column;
  if (cell.storage.kind !== 'array') {
    const valueOf = numberReader(column, recordBytes);
    return {
      kind: 'number',
      column: name,
      width: 1,
      read(views, record, target, at) {
        target[at] = valueOf(views, record);
      },
    };
  }
  const { shape, dtype } = cell.storage;
  const width = elementsOf(shape);
  const unit = ARRAY_TYPES[dtype].BYTES_PER_ELEMENT;
  return {
    kind: 'number',
    column: name,
    width,
    read({ bytes, integers, floats }, record, target, at) {
      const values = dtype === 'uint8' ? bytes : dtype === 'int32' ? integers : floats;
      const start = (record * recordBytes + cell.offset) / unit;
      target.set(values.subarray(start, start + width), at);
    },
  };
}

function tagsTarget(stored: StoredColumn, { values }: Column, recordBytes: number): ResolvedTarget {
  const { name, cell } = stored;
  if (values === undefined) throw unsuitable(`The target "${name}" has too many different tokens to be labels.`);
  const start = cell.offset / 8;
  return {
    kind: 'tags',
    column: name,
    stored,
    labels: values.map(({ value }) => String(value)).toSorted(ascending),
    isMissing: ({ doubles }, record) => doubles[(record * recordBytes) / 8 + start]! < 0,
  };
}

/** @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA */
export function resolveTarget(
  { target, task }: Pick<PreparationRequest, 'target' | 'task'>,
  columns: readonly StoredColumn[],
  described: readonly Column[],
  recordBytes: number,
): ResolvedTarget {
  if (task === 'next-token') {
    if (target !== undefined) throw unsuitable(`The task next-token has no target column, but "${target}" is named.`);
    return { kind: 'none' };
  }
  if (target === undefined) return { kind: 'none' };
  const column = columnNamed(columns, target, 'target');
  const description = described.find(({ name }) => name === target)!;
  if (task === 'token-classification' && column.type !== 'tokens')
    throw unsuitable(`The task token-classification needs a target with a list of labels; "${target}" is of the type ${column.type}.`);
  switch (column.type) {
    case 'category':
    case 'boolean':
      if (task !== 'regression') return classTarget(column, description, recordBytes);
      if (column.type === 'category') throw unsuitable(`The target "${target}" is a category; regression needs a number.`);
      break;
    case 'integer': {
      const isClass = description.values !== undefined && description.values.length <= MAX_INTEGER_CLASSES;
      if (task === 'classification' || (task === undefined && isClass)) return classTarget(column, description, recordBytes);
      break;
    }
    case 'number':
      if (task === 'classification')
        throw unsuitable(`The target "${target}" is a number with fractions; classes are categories, booleans or integers.`);
      break;
    case 'vector':
      if (task === 'classification') throw unsuitable(`The target "${target}" is a vector; classes are categories, booleans or integers.`);
      break;
    case 'tokens':
      if (task !== undefined && task !== 'token-classification')
        throw unsuitable(`The target "${target}" has a list of labels in each row, which is for the task token-classification.`);
      return tagsTarget(column, description, recordBytes);
    default:
      throw unsuitable(
        `The target "${target}" is of the type ${column.type}; it must be a category, a boolean, an integer, a number, a vector or tokens.`,
      );
  }
  return numberTarget(column, recordBytes);
}
