import type { BatchTensor, InputSpec, Preparation } from '../dataset.ts';
import { TOKEN_BYTES } from '../derived/tokens.ts';
import { columnNamed } from '../preparation/record-columns.ts';
import type { ResolvedTarget } from '../preparation/resolve-target.ts';
import { elementsOf, type StoredColumn } from '../records/layout.ts';
import type { RecordViews } from '../records/record-views.ts';
import { fillImage } from './fill-image.ts';
import { fillTable } from './fill-table.ts';
import type { Fill } from './fill.ts';

/** What examples are made of. */
export interface ExampleSource {
  readonly preparation: Preparation;
  readonly columns: readonly StoredColumn[];
  readonly target: ResolvedTarget;
  readonly recordBytes: number;
  /** Bytes of a row of the file that was made of the feature; undefined when the records hold what is needed. */
  readonly derivedBytes: number | undefined;
}

/** The arrays of a batch, and what writes examples into them. */
export interface ExampleWriter {
  /**
   * The examples of `records[from] … records[to − 1]`, the first one at `row` of the batch.
   * @param views the records first, and last what was made of the feature, if anything was.
   */
  write(views: readonly RecordViews[], records: Uint32Array, from: number, to: number, row: number): void;
  /** The first `size` rows as tensors. */
  tensors(size: number): { readonly inputs: readonly BatchTensor[]; readonly target: BatchTensor | undefined };
}

interface PartWriter {
  write: ExampleWriter['write'];
  tensor(size: number): BatchTensor;
}

/** Ids that lie one behind the other in each row of a file, `skip` of them passed over. */
function createTokenWriter(length: number, rowBytes: number, skip: number, batchSize: number): PartWriter {
  const data = new Int32Array(batchSize * length);
  const stride = rowBytes / TOKEN_BYTES;
  return {
    write(views, records, from, to, row) {
      const { integers } = views.at(-1)!;
      for (let index = from; index < to; index += 1) {
        const start = records[index]! * stride + skip;
        data.set(integers.subarray(start, start + length), (row + index - from) * length);
      }
    },
    tensor: (size) => ({ dtype: 'INT32', shape: [size, length], data: data.subarray(0, size * length) }),
  };
}

function createInputWriter({ preparation, columns, recordBytes, derivedBytes }: ExampleSource, batchSize: number): PartWriter {
  const { preprocessing, features } = preparation;
  if (preprocessing.kind === 'text') return createTokenWriter(preprocessing.maxLength, derivedBytes!, 0, batchSize);
  const [{ shape }] = preparation.inputs as [InputSpec];
  const width = elementsOf(shape);
  const data = new Float32Array(batchSize * width);
  const fillsOf = (): Fill<Float32Array>[] => {
    if (preprocessing.kind === 'table') return fillTable(preprocessing, columns, recordBytes);
    const { offset } = columnNamed(columns, features[0]!, 'feature').cell;
    return [
      fillImage(preprocessing, derivedBytes === undefined ? { rowBytes: recordBytes, offset } : { rowBytes: derivedBytes, offset: 0 }),
    ];
  };
  const fills = fillsOf();
  return {
    write(views, records, from, to, row) {
      for (const fill of fills) fill(views.at(-1)!, records, from, to, data, row);
    },
    tensor: (size) => ({ dtype: 'FP32', shape: [size, ...shape], data: data.subarray(0, size * width) }),
  };
}

function createTargetWriter({ preparation, target, derivedBytes }: ExampleSource, batchSize: number): PartWriter | undefined {
  if (target.kind === 'class' && preparation.target.kind === 'class') {
    const trained = preparation.target.labels;
    const indexes = Int32Array.from(target.labels, (label) => trained.indexOf(label));
    const data = new Int32Array(batchSize);
    return {
      write(views, records, from, to, row) {
        const own = views[0]!;
        for (let index = from; index < to; index += 1) data[row + index - from] = indexes[target.classOf(own, records[index]!)]!;
      },
      tensor: (size) => ({ dtype: 'INT32', shape: [size], data: data.subarray(0, size) }),
    };
  }
  if (preparation.target.kind === 'token') return createTokenWriter(preparation.inputs[0]!.shape[0]!, derivedBytes!, 1, batchSize);
  if (target.kind === 'tags') {
    const length = preparation.inputs[0]!.shape[0]!;
    return createTokenWriter(length, derivedBytes!, length, batchSize);
  }
  if (target.kind !== 'number') return undefined;
  const { width } = target;
  const data = new Float32Array(batchSize * width);
  return {
    write(views, records, from, to, row) {
      const own = views[0]!;
      for (let index = from; index < to; index += 1) target.read(own, records[index]!, data, (row + index - from) * width);
    },
    tensor: (size) => ({ dtype: 'FP32', shape: [size, width], data: data.subarray(0, size * width) }),
  };
}

/** @param batchSize examples that there is room for. */
export function createExampleWriter(source: ExampleSource, batchSize: number): ExampleWriter {
  const input = createInputWriter(source, batchSize);
  const target = createTargetWriter(source, batchSize);
  return {
    write(views, records, from, to, row) {
      input.write(views, records, from, to, row);
      target?.write(views, records, from, to, row);
    },
    tensors: (size) => ({ inputs: [input.tensor(size)], target: target?.tensor(size) }),
  };
}
