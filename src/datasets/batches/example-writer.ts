import type { ImagePreprocessing, TableColumn } from '../../packages/manifest.ts';
import { columnWidth } from '../../preprocessing/table.ts';
import type { BatchTensor, InputSpec, Preparation } from '../dataset.ts';
import { codeReader, columnNamed } from '../preparation/record-columns.ts';
import type { ResolvedTarget } from '../preparation/resolve-target.ts';
import { ARRAY_TYPES, type ArrayDType, elementsOf, type StoredColumn } from '../records/layout.ts';
import type { RecordViews } from '../records/record-views.ts';

/**
 * Writes one part of some examples: of the records `records[from] … records[to − 1]`, the first one to row `row` of
 * the tensor. It loops over one column at a time: such loops are short enough to be compiled well.
 */
type Fill<Data> = (views: RecordViews, records: Uint32Array, from: number, to: number, data: Data, row: number) => void;

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

/** What each of the 256 levels of a byte becomes, so that nothing is computed for each of many pixels. */
function levelsOf({ scale, mean, std }: { scale: number; mean: number; std: number }): Float32Array {
  return Float32Array.from({ length: 256 }, (_level, level) => (level * scale - mean) / std);
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

function fillImage(column: StoredColumn, recordBytes: number, spec: ImagePreprocessing): Fill<Float32Array> {
  const { shape } = arrayStorage(column);
  const [height = 0, width = 0, channels = 1] = shape;
  const area = height * width;
  const { offset } = column.cell;
  const levels = Array.from({ length: channels }, (_levels, channel) =>
    levelsOf({ scale: spec.scale, mean: spec.mean?.[channel] ?? 0, std: spec.std?.[channel] ?? 1 }),
  );
  /** Of neighbouring pixels of one channel, in the tensor; channels lie side by side in the record. */
  const step = spec.layout === 'CHW' ? 1 : channels;
  const channelStep = spec.layout === 'CHW' ? area : 1;
  return ({ bytes }, records, from, to, data, row) => {
    for (let index = from; index < to; index += 1) {
      const start = records[index]! * recordBytes + offset;
      const first = (row + index - from) * area * channels;
      for (let channel = 0; channel < channels; channel += 1) {
        const own = levels[channel]!;
        let target = first + channel * channelStep;
        for (let source = start + channel, end = source + area * channels; source < end; source += channels, target += step) {
          data[target] = own[bytes[source]!]!;
        }
      }
    }
  };
}

function fillInput({ preprocessing, features }: Preparation, columns: readonly StoredColumn[], recordBytes: number): Fill<Float32Array>[] {
  if (preprocessing.kind === 'image') return [fillImage(columnNamed(columns, features[0]!, 'feature'), recordBytes, preprocessing)];
  const width = preprocessing.columns.reduce((sum, column) => sum + columnWidth(column), 0);
  let at = 0;
  return preprocessing.columns.map((spec) => {
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

function fillClass(trained: readonly string[], target: ResolvedTarget & { kind: 'class' }): Fill<Int32Array> {
  const indexes = Int32Array.from(target.labels, (label) => trained.indexOf(label));
  return (views, records, from, to, data, row) => {
    for (let index = from; index < to; index += 1) data[row + index - from] = indexes[target.classOf(views, records[index]!)]!;
  };
}

/** The arrays of a batch, and what writes examples into them. */
export interface ExampleWriter {
  /** The examples of `records[from] … records[to − 1]`, the first one at `row` of the batch. */
  write(views: RecordViews, records: Uint32Array, from: number, to: number, row: number): void;
  /** The first `size` rows as tensors. */
  tensors(size: number): { readonly inputs: readonly BatchTensor[]; readonly target: BatchTensor | undefined };
}

/** @param batchSize examples that there is room for. */
export function createExampleWriter(
  preparation: Preparation,
  columns: readonly StoredColumn[],
  target: ResolvedTarget,
  recordBytes: number,
  batchSize: number,
): ExampleWriter {
  const [{ shape }] = preparation.inputs as [InputSpec];
  const width = elementsOf(shape);
  const data = new Float32Array(batchSize * width);
  const fills = fillInput(preparation, columns, recordBytes);
  const classes = new Int32Array(target.kind === 'class' ? batchSize : 0);
  const numbers = new Float32Array(target.kind === 'number' ? batchSize : 0);
  const classFill =
    target.kind === 'class' && preparation.target.kind === 'class' ? fillClass(preparation.target.labels, target) : undefined;

  function targetOf(size: number): BatchTensor | undefined {
    if (target.kind === 'class') return { dtype: 'INT32', shape: [size], data: classes.subarray(0, size) };
    return target.kind === 'number' ? { dtype: 'FP32', shape: [size, 1], data: numbers.subarray(0, size) } : undefined;
  }

  return {
    write(views, records, from, to, row) {
      for (const fill of fills) fill(views, records, from, to, data, row);
      classFill?.(views, records, from, to, classes, row);
      if (target.kind !== 'number') return;
      for (let index = from; index < to; index += 1) numbers[row + index - from] = target.valueOf(views, records[index]!);
    },
    tensors: (size) => ({
      inputs: [{ dtype: 'FP32', shape: [size, ...shape], data: data.subarray(0, size * width) }],
      target: targetOf(size),
    }),
  };
}
