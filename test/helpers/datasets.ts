import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Batch, DatasetDescription, Examples, Preparation } from '../../src/datasets/dataset.ts';
import { ingest, type IngestLimits, type IngestOptions } from '../../src/datasets/ingest/ingest.ts';
import { openRecordFile } from '../../src/datasets/records/record-file.ts';
import { readStoredDescription } from '../../src/datasets/stored-description.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const INGEST_LIMITS: IngestLimits = {
  maxRows: 1_000_000,
  maxColumns: 1_000,
  maxCategories: 100,
  maxRowLength: 1_000_000,
  maxFiles: 1_000,
  maxBytes: 100_000_000,
  maxImageBytes: 1_000_000,
  maxImagePixels: 1_000_000,
};

export interface IngestedFiles {
  /** Of the dataset. */
  readonly folder: string;
  readonly description: DatasetDescription;
}

/** Reads files, by their names, as a dataset, in this process. */
export async function ingestFiles(
  contents: Readonly<Record<string, string | Uint8Array>>,
  options: IngestOptions = {},
  limits: Partial<IngestLimits> = {},
): Promise<IngestedFiles> {
  const root = await temporaryFolder();
  const folder = join(root, 'dataset');
  await mkdir(folder);
  const files = await Promise.all(
    Object.entries(contents).map(async ([name, content], index) => {
      const path = join(root, String(index));
      await writeFile(path, content);
      return { path, name };
    }),
  );
  const description = await ingest({
    id: 'id',
    name: 'name',
    createdAt: '2026-01-01T00:00:00.000Z',
    files,
    folder,
    options,
    limits: { ...INGEST_LIMITS, ...limits },
  });
  return { folder, description };
}

/** Every record of a dataset as it is stored: texts, numbers with NaN for none, arrays. */
export async function readRecords(folder: string): Promise<unknown[][]> {
  const { description, recordBytes, columns } = readStoredDescription(folder);
  const file = await openRecordFile(folder, recordBytes, description.rows);
  const rows: unknown[][] = [];
  for await (const { views, count } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      const row: unknown[] = [];
      for (const { cell } of columns) {
        const base = record * recordBytes + cell.offset;
        if (cell.storage.kind === 'number') row.push(views.doubles[base / 8]);
        else if (cell.storage.kind === 'bytes') row.push(await file.readBytes(views, record, cell));
        else if (cell.storage.kind === 'string') row.push(await file.readText(views, record, cell));
        else {
          const elements = cell.storage.shape.reduce((product, size) => product * size, 1);
          const isBytes = cell.storage.dtype === 'uint8';
          const source = isBytes ? views.bytes : cell.storage.dtype === 'int32' ? views.integers : views.floats;
          const start = isBytes ? base : base / 4;
          row.push([...source.subarray(start, start + elements)]);
        }
      }
      rows.push(row);
    }
  }
  await file.close();
  return rows;
}

/** A batch as it was when it was handed out, each example by itself. */
export interface Example {
  readonly input: readonly number[];
  readonly target: readonly number[];
}

function examplesOf({ size, inputs, target }: Batch): Example[] {
  const part = (data: Float32Array | Int32Array, index: number): number[] => {
    const width = data.length / size;
    return [...data.subarray(index * width, (index + 1) * width)];
  };
  return Array.from({ length: size }, (_example, index) => ({
    input: part(inputs[0]!.data, index),
    target: target === undefined ? [] : part(target.data, index),
  }));
}

/** All examples of one pass over a split. */
export async function readExamples(examples: Examples, options: Parameters<Examples['batches']>[0]): Promise<Example[]> {
  const all: Example[] = [];
  for await (const batch of examples.batches(options)) all.push(...examplesOf(batch));
  return all;
}

/** What a preparation is when it was saved and read again. */
export function saved(preparation: Preparation): Preparation {
  return JSON.parse(JSON.stringify(preparation)) as Preparation;
}
