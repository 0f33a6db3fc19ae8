import { SlipwayError } from '../errors/slipway-error.ts';
import type { TextPreprocessing } from '../packages/manifest.ts';
import { createExampleWriter, type ExampleSource } from './batches/example-writer.ts';
import { createResidentRows } from './batches/resident.ts';
import { findBlocks, readWindows, type SplitBlocks, type Window } from './batches/windows.ts';
import type { Batch, BatchOptions, Dataset, Examples, OpenOptions, Preparation, Split } from './dataset.ts';
import { ensurePixels, hasPixels } from './derived/pixels.ts';
import { assignWindows, ensureTaggedTokens, ensureTokens, ensureWindows, TOKEN_BYTES } from './derived/tokens.ts';
import { type Assignment, assignSplits, countSplits, SPLIT_NUMBER } from './preparation/assign-splits.ts';
import { prepare } from './preparation/prepare.ts';
import { columnNamed } from './preparation/record-columns.ts';
import { type ResolvedTarget, resolveTarget } from './preparation/resolve-target.ts';
import { textSource } from './preparation/text-features.ts';
import { openRecordFile, openRowFile, type RecordFile, type RowFile } from './records/record-file.ts';
import { readStoredDescription } from './stored-description.ts';

export interface OpenDatasetOptions {
  /**
   * Memory for rows, in bytes. A dataset that fits stays in memory and is shuffled as a whole; a pass over a larger one
   * takes twice as much, for what is used and what is read next, and shuffles so much at a time, of blocks from all over
   * the file. The order depends on it, so a job that goes on needs the same. Default 128 MiB.
   */
  readonly bufferBytes?: number;
}

const DEFAULT_BUFFER_BYTES = 128 * 1024 * 1024;

const TASK_OF = { class: 'classification', number: 'regression', tags: 'token-classification' } as const;

interface ExamplesParts {
  /** What examples are made of: the records, and what was made of a column. */
  readonly files: readonly RowFile[];
  readonly source: ExampleSource;
  readonly assignment: Assignment;
  readonly bufferBytes: number;
}

function createExamples({ files, source, assignment, bufferBytes }: ExamplesParts): Examples {
  const rowBytes = files.reduce((sum, file) => sum + file.rowBytes, 0);
  const resident = rowBytes * assignment.length <= bufferBytes ? createResidentRows(files, assignment) : undefined;
  const blocksOf = new Map<Split, SplitBlocks>();

  async function* windowsOf({ split, batchSize, shuffle, skip = 0 }: BatchOptions): AsyncGenerator<Window> {
    const splitNumber = SPLIT_NUMBER[split];
    if (resident !== undefined) {
      yield await resident.window(splitNumber, shuffle, skip * batchSize);
      return;
    }
    let blocks = blocksOf.get(split);
    if (blocks === undefined) blocksOf.set(split, (blocks = findBlocks(assignment, splitNumber, rowBytes)));
    yield* readWindows({ files, assignment, splitNumber, split: blocks, windowBytes: bufferBytes, shuffle, skip: skip * batchSize });
  }

  async function* batches(options: BatchOptions): AsyncGenerator<Batch> {
    const { batchSize, dropLast = false } = options;
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) throw new RangeError(`a batch cannot have ${batchSize} examples`);
    const writer = createExampleWriter(source, batchSize);
    let size = 0;
    for await (const { views, records } of windowsOf(options)) {
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
  async function openDerived(preparation: Preparation, file: RecordFile, options: OpenOptions): Promise<RowFile | undefined> {
    const { preprocessing, features, files } = preparation;
    if (preprocessing.kind === 'table') return undefined;
    const column = columnNamed(columns, features[0]!, 'feature');
    if (preprocessing.kind === 'text') {
      const text = await textSource(stored, folder, file, column, { preprocessing, files });
      if (preparation.target.kind === 'tags') {
        const tags = columnNamed(columns, preparation.target.column, 'target');
        const source = { column: tags, columnIndex: columns.indexOf(tags), labels: preparation.target.labels };
        return openRowFile(await ensureTaggedTokens(text, source, options), 2 * preprocessing.maxLength * TOKEN_BYTES);
      }
      const path = await ensureTokens(text, options);
      return openRowFile(path, preprocessing.maxLength * TOKEN_BYTES);
    }
    if (hasPixels(column, preprocessing)) return undefined;
    const pixels = { folder, file, rows: description.rows, column, columnIndex: columns.indexOf(column), spec: preprocessing };
    return openRowFile(await ensurePixels(pixels, options), preprocessing.width * preprocessing.height * preprocessing.channels);
  }

  async function assignmentOf(preparation: Preparation, file: RecordFile, target: ResolvedTarget): Promise<Assignment> {
    const known = assignments.get(preparation);
    if (known !== undefined) return known;
    return assignSplits(preparation.split, { file, rows: description.rows, columns, target });
  }

  /** The windows of texts that are to be continued; the records are not needed beside them. */
  async function openWindows(
    preparation: Preparation,
    preprocessing: TextPreprocessing,
    file: RecordFile,
    options: OpenOptions,
  ): Promise<Examples> {
    const { features, files, split, rows } = preparation;
    const target = { kind: 'none' } as const;
    const text = await textSource(stored, folder, file, columnNamed(columns, features[0]!, 'feature'), { preprocessing, files });
    const path = await ensureWindows(text, split, await assignmentOf(preparation, file, target), options);
    await file.close();
    const windows = await openRowFile(path, (preprocessing.maxLength + 1) * TOKEN_BYTES);
    const source = { preparation, columns, target, recordBytes, derivedBytes: windows.rowBytes };
    return createExamples({ files: [windows], source, assignment: assignWindows(rows), bufferBytes });
  }

  async function openExamples(preparation: Preparation, file: RecordFile, options: OpenOptions): Promise<Examples> {
    const { target: wanted, preprocessing, rows } = preparation;
    if (wanted.kind === 'token' && preprocessing.kind === 'text') return openWindows(preparation, preprocessing, file, options);
    const request = 'column' in wanted ? { target: wanted.column, task: TASK_OF[wanted.kind] } : {};
    const target = resolveTarget(request, columns, description.columns, recordBytes);
    const assignment = await assignmentOf(preparation, file, target);
    const counts = countSplits(assignment);
    if (counts.train !== rows.train || counts.validation !== rows.validation || counts.test !== rows.test) {
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
        const { preparation, assignment } = await prepare(folder, stored, file, request);
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
