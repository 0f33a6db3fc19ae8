import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isStorageFull } from '../../errors/has-code.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { ColumnType, DatasetDescription, DatasetFormat, SkippedRow } from '../dataset.ts';
import { openSource } from '../sources/open-source.ts';
import type { OnBadRow, SourceFile } from '../source.ts';
import { DESCRIPTION_FILE, encodeDescription } from '../stored-description.ts';
import { digestOf } from './digest.ts';
import { readPreview } from './preview.ts';
import { createTextReader, MISSING_TEXTS } from './read-value.ts';
import { writeRecords } from './write-records.ts';

/** What the owner of the data says of it; everything may be left out. */
export interface IngestOptions {
  /** Default: what the names and the first bytes of the files say. */
  readonly format?: DatasetFormat | undefined;
  /** Types of columns, in place of those that are found. */
  readonly types?: Readonly<Record<string, ColumnType>> | undefined;
  /** Texts that mean that there is no value. Default `MISSING_TEXTS`. */
  readonly missing?: readonly string[] | undefined;
  /** Rows that may be left out because they cannot be read; one more and the data is refused. Default 0. */
  readonly maxSkipped?: number | undefined;
  /** Of CSV: one character. */
  readonly delimiter?: string | undefined;
  /** Of CSV: whether the first line has the names of the columns. */
  readonly header?: boolean | undefined;
}

export interface IngestLimits {
  readonly maxRows: number;
  readonly maxColumns: number;
  /** Different texts of a category. */
  readonly maxCategories: number;
  /** Characters of a row. */
  readonly maxRowLength: number;
  readonly maxFiles: number;
  /** That the dataset takes on disk. */
  readonly maxBytes: number;
  /** Of an image file. */
  readonly maxImageBytes: number;
  readonly maxImagePixels: number;
}

/** Plain data, for it goes to another process. */
export interface IngestRequest {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly files: readonly SourceFile[];
  /** Empty folder that becomes the dataset's. */
  readonly folder: string;
  readonly options: IngestOptions;
  readonly limits: IngestLimits;
}

/** How far the reading is. */
export interface IngestProgress {
  /** Rows that have been read. They are counted anew when the source has to be read a second time. */
  readonly rows: number;
  /** Of them, those that were left out. */
  readonly skipped: number;
}

const FIRST_SKIPPED = 20;

/** Counts bad rows and refuses the data at one too many. */
function createSkipped(maxSkipped: number): { readonly onBadRow: OnBadRow; readonly skipped: { count: number; first: SkippedRow[] } } {
  const skipped = { count: 0, first: [] as SkippedRow[] };
  return {
    skipped,
    onBadRow(place, reason) {
      skipped.count += 1;
      if (skipped.first.length < FIRST_SKIPPED) skipped.first.push({ place, reason });
      if (skipped.count <= maxSkipped) return;
      const limit = maxSkipped === 0 ? 'None may be left out' : `More than ${maxSkipped} cannot be read`;
      throw new SlipwayError('INVALID_DATASET', `${place}: ${reason}. ${limit}; "maxSkipped" allows more.`, {
        details: skipped.first.map((each) => ({ path: each.place, message: each.reason })),
      });
    },
  };
}

function checkTypes(types: Readonly<Record<string, ColumnType>>, columns: readonly string[]): void {
  for (const name of Object.keys(types)) {
    if (columns.includes(name)) continue;
    throw new SlipwayError(
      'COLUMN_NOT_FOUND',
      `A type is given for "${name}", but the data has only ${columns.map((each) => `"${each}"`).join(', ')}.`,
    );
  }
}

function toDatasetError(error: unknown): unknown {
  if (error instanceof SlipwayError) return error;
  if (isStorageFull(error)) return new SlipwayError('STORAGE_FULL', 'The disk is full; nothing was kept of the dataset.', { cause: error });
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('Z_'))
    return new SlipwayError('INVALID_DATASET', `A gzipped file is damaged: ${messageOf(error)}.`, { cause: error });
  return error;
}

/**
 * Reads the source files whole and writes the dataset into its folder: records, heap and description.
 * @param onProgress told after each group of rows
 * @throws SlipwayError INVALID_DATASET, DATASET_TOO_LARGE, COLUMN_NOT_FOUND, STORAGE_FULL
 */
export async function ingest(
  request: IngestRequest,
  onProgress: (progress: IngestProgress) => void = () => {},
): Promise<DatasetDescription> {
  const { id, name, createdAt, files, folder, options, limits } = request;
  const types = options.types ?? {};
  let last = createSkipped(0);
  try {
    const source = await openSource(files, { ...options, ...limits });
    const { rows, bytes, layout, profiles } = await writeRecords(
      source,
      folder,
      {
        types: new Map(Object.entries(types)),
        readText: createTextReader(options.missing ?? MISSING_TEXTS),
        ...limits,
        onRows: (read) => onProgress({ rows: read, skipped: last.skipped.count }),
      },
      () => (last = createSkipped(options.maxSkipped ?? 0)).onBadRow,
    );
    checkTypes(
      types,
      profiles.map(({ sketch }) => sketch.source.name),
    );
    if (rows === 0) throw new SlipwayError('INVALID_DATASET', 'The data has no rows.');
    const finished = profiles.map((profile) => profile.finish());
    const columns = finished.map(({ stored }) => stored);
    const splitColumn = profiles.find(({ sketch }) => sketch.source.isSplit === true)?.sketch.source.name;
    const description: DatasetDescription = {
      id,
      name,
      format: source.format,
      createdAt,
      rows,
      bytes,
      digest: await digestOf(files),
      columns: finished.map(({ column }) => column),
      ...(splitColumn !== undefined && { splitColumn }),
      preview: await readPreview(folder, layout.recordBytes, columns, rows),
      skipped: last.skipped,
    };
    await writeFile(join(folder, DESCRIPTION_FILE), encodeDescription({ description, recordBytes: layout.recordBytes, columns }), {
      flush: true,
    });
    return description;
  } catch (error) {
    throw toDatasetError(error);
  }
}
