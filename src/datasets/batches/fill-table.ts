import type { TableColumn, TablePreprocessing } from '../../packages/manifest.ts';
import { columnWidth } from '../../preprocessing/table.ts';
import { codeReader, columnNamed } from '../preparation/record-columns.ts';
import { ARRAY_TYPES, type ArrayDType, elementsOf, type StoredColumn } from '../records/layout.ts';
import { type Fill, levelsOf } from './fill.ts';

function fillNumber(
  column: StoredColumn,
  recordBytes: number,
  spec: TableColumn & { kind: 'number' | 'boolean' },
  width: number,
  at: number,
): Fill<Float32Array> {
  const stride = recordBytes / 8;
  const offset = column.cell.offset / 8;
  const { mean, std } = spec;
  // What is missing here need not have been missing in a training row; the mean stands for it then.
  const missing = spec.missing ?? mean;
  return ({ doubles }, records, from, to, data, row) => {
    for (let index = from, target = row * width + at; index < to; index += 1, target += width) {
      const value = doubles[records[index]! * stride + offset]!;
      data[target] = ((Number.isNaN(value) ? missing : value) - mean) / std;
    }
  };
}

function fillCategory(
  column: StoredColumn,
  recordBytes: number,
  spec: TableColumn & { kind: 'category' },
  width: number,
  at: number,
): Fill<Float32Array> {
  const codeOf = codeReader(column, recordBytes);
  const places = Int32Array.from(column.dictionary!, (text) => spec.categories.indexOf(text));
  const categories = spec.categories.length;
  return (views, records, from, to, data, row) => {
    for (let index = from, target = row * width + at; index < to; index += 1, target += width) {
      data.fill(0, target, target + categories);
      const code = codeOf(views, records[index]!);
      const place = code < 0 ? -1 : places[code]!;
      if (place >= 0) data[target + place] = 1;
    }
  };
}

function arrayStorage({ cell, name }: StoredColumn): { dtype: ArrayDType; shape: readonly number[] } {
  if (cell.storage.kind !== 'array') throw new TypeError(`${name} is no array`);
  return cell.storage;
}

function fillVector(
  column: StoredColumn,
  recordBytes: number,
  spec: TableColumn & { kind: 'vector' },
  width: number,
  at: number,
): Fill<Float32Array> {
  const { dtype, shape } = arrayStorage(column);
  const elements = elementsOf(shape);
  const unit = ARRAY_TYPES[dtype].BYTES_PER_ELEMENT;
  const stride = recordBytes / unit;
  const offset = column.cell.offset / unit;
  const { mean, std } = spec;
  if (dtype === 'uint8') {
    const levels = levelsOf({ scale: 1, mean, std });
    return ({ bytes }, records, from, to, data, row) => {
      for (let index = from, target = row * width + at; index < to; index += 1, target += width) {
        const start = records[index]! * stride + offset;
        for (let element = 0; element < elements; element += 1) data[target + element] = levels[bytes[start + element]!]!;
      }
    };
  }
  return ({ integers, floats }, records, from, to, data, row) => {
    const values = dtype === 'int32' ? integers : floats;
    for (let index = from, target = row * width + at; index < to; index += 1, target += width) {
      const start = records[index]! * stride + offset;
      for (let element = 0; element < elements; element += 1) data[target + element] = (values[start + element]! - mean) / std;
    }
  };
}

/** Writes the columns of a table into rows of a tensor, each at its place. */
export function fillTable(
  { columns: specs }: TablePreprocessing,
  columns: readonly StoredColumn[],
  recordBytes: number,
): Fill<Float32Array>[] {
  const width = specs.reduce((sum, column) => sum + columnWidth(column), 0);
  let at = 0;
  return specs.map((spec) => {
    const column = columnNamed(columns, spec.name, 'feature');
    const start = at;
    at += columnWidth(spec);
    switch (spec.kind) {
      case 'category':
        return fillCategory(column, recordBytes, spec, width, start);
      case 'vector':
        return fillVector(column, recordBytes, spec, width, start);
      default:
        return fillNumber(column, recordBytes, spec, width, start);
    }
  });
}
