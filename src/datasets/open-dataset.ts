import { SlipwayError } from '../errors/slipway-error.ts';
import { createExampleWriter, type ExampleSource } from './batches/example-writer.ts';
import { findBlocks, readWindows, type SplitBlocks } from './batches/windows.ts';
import type { Batch, BatchOptions, Dataset, Examples, OpenOptions, Preparation, Split } from './dataset.ts';
import { ensurePixels, hasPixels } from './derived/pixels.ts';
import { type Assignment, assignSplits, countSplits, SPLIT_NUMBER } from './preparation/assign-splits.ts';
import { prepare } from './preparation/prepare.ts';
import { columnNamed } from './preparation/record-columns.ts';
import { resolveTarget } from './preparation/resolve-target.ts';
import { openRecordFile, openRowFile, type RecordFile, type RowFile } from './records/record-file.ts';
import { readStoredDescription } from './stored-description.ts';

export interface OpenDatasetOptions {
  /**
   * Memory for the rows of a pass over a split, in bytes; a pass over more than this takes twice as much, for what is
   * used and what is read next. It is also what is shuffled as a whole. Default 128 MiB.
   */
  readonly bufferBytes?: number;
}

const DEFAULT_BUFFER_BYTES = 128 * 1024 * 1024;

interface ExamplesParts {
  /** What examples are made of: the records, and what was made of a column. */
  readonly files: readonly RowFile[];
  readonly source: ExampleSource;
  readonly assignment: Assignment;
  readonly bufferBytes: number;
}

function createExamples({ files, source, assignment, bufferBytes }: ExamplesParts): Examples {
  const rowBytes = files.reduce((sum, file) => sum + file.rowBytes, 0);
  const blocksOf = new Map<Split, SplitBlocks>();

  async function* batches({ split, batchSize, shuffle, skip = 0, dropLast = false }: BatchOptions): AsyncGenerator<Batch> {
    let blocks = blocksOf.get(split);
    if (blocks === undefined) blocksOf.set(split, (blocks = findBlocks(assignment, SPLIT_NUMBER[split], rowBytes)));
    const writer = createExampleWriter(source, batchSize);
    const windows = readWindows({
      files,
      assignment,
      splitNumber: SPLIT_NUMBER[split],
      split: blocks,
      windowBytes: bufferBytes,
      shuffle,
      skip: skip * batchSize,
    });
    let size = 0;
    for await (const { views, records } of windows) {
      for (let from = 0; from < records.length;) {
        const to = Math.min(records.length, from + batchSize - size);
        writer.write(views, records, from, to, size);
        size += to - from;
        from = to;
        if (size < batchSize) continue;
        yield { size, ...writer.tensors(size) };
        size = 0;
      }
    }
    if (size > 0 && !dropLast) yield { size, ...writer.tensors(size) };
  }

  return {
    preparation: source.preparation,
    batches,
    async close() {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/**
 * Opens a dataset by its folder.
 * @throws SlipwayError INVALID_DATASET
 */
export function openDataset(folder: string, { bufferBytes = DEFAULT_BUFFER_BYTES }: OpenDatasetOptions = {}): Dataset {
  const stored = readStoredDescription(folder);
  const { description, columns, recordBytes } = stored;
  const openFile = (): Promise<RecordFile> => openRecordFile(folder, recordBytes, description.rows);
  /** The assignments that were made while preparing; another process makes them once more. */
  const assignments = new WeakMap<Preparation, Assignment>();

  /** What must be made of the feature before it can be read; undefined when the records hold what is needed. */
  async function openDerived(
    { preprocessing, features }: Preparation,
    file: RecordFile,
    options: OpenOptions,
  ): Promise<RowFile | undefined> {
    if (preprocessing.kind !== 'image') return undefined;
    const column = columnNamed(columns, features[0]!, 'feature');
    if (hasPixels(column, preprocessing)) return undefined;
    const path = await ensurePixels(
      { folder, file, rows: description.rows, column, columnIndex: columns.indexOf(column), spec: preprocessing },
      options,
    );
    return openRowFile(path, preprocessing.width * preprocessing.height * preprocessing.channels);
  }

  async function openExamples(preparation: Preparation, file: RecordFile, options: OpenOptions): Promise<Examples> {
    const { target: wanted, split } = preparation;
    const request =
      wanted.kind === 'none' ? {} : ({ target: wanted.column, task: wanted.kind === 'class' ? 'classification' : 'regression' } as const);
    const target = resolveTarget(request, columns, description.columns, recordBytes);
    const assignment = assignments.get(preparation) ?? (await assignSplits(split, { file, rows: description.rows, columns, target }));
    const counts = countSplits(assignment);
    if (
      counts.train !== preparation.rows.train ||
      counts.validation !== preparation.rows.validation ||
      counts.test !== preparation.rows.test
    ) {
      throw new SlipwayError(
        'UNSUITABLE_DATA',
        `The preparation does not fit the dataset "${description.name}": its splits have other sizes.`,
      );
    }
    const derived = await openDerived(preparation, file, options);
    const source = { preparation, columns, target, recordBytes, derivedBytes: derived?.rowBytes };
    return createExamples({ files: derived === undefined ? [file] : [file, derived], source, assignment, bufferBytes });
  }

  return {
    description,
    async prepare(request) {
      const file = await openFile();
      try {
        const { preparation, assignment } = await prepare(stored, file, request);
        assignments.set(preparation, assignment);
        return preparation;
      } finally {
        await file.close();
      }
    },
    async open(preparation, options = {}) {
      const { digest, name } = preparation.dataset;
      if (digest !== description.digest) {
        throw new SlipwayError(
          'UNSUITABLE_DATA',
          `The preparation is of the dataset "${name}" with the digest ${digest}; this one has ${description.digest}.`,
        );
      }
      const file = await openFile();
      try {
        return await openExamples(preparation, file, options);
      } catch (error) {
        await file.close();
        throw error;
      }
    },
  };
}
