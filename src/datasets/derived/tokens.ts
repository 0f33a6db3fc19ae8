import { createHash } from 'node:crypto';
import type { TextPreprocessing } from '../../packages/manifest.ts';
import type { Text, Tokenizer } from '../../preprocessing/tokenizer.ts';
import { type OpenOptions, type Preparation, type Split, SPLITS } from '../dataset.ts';
import { type Assignment, SPLIT_NUMBER } from '../preparation/assign-splits.ts';
import type { StoredColumn } from '../records/layout.ts';
import type { RecordFile } from '../records/record-file.ts';
import type { RecordViews } from '../records/record-views.ts';
import { ensureDerived } from './row-maker.ts';

/** Tokens are kept as 32-bit integers. */
export const TOKEN_BYTES = 4;
const PIECE_BYTES = 1024 * 1024;
const WHOLE_TEXT = Number.MAX_SAFE_INTEGER;

/** What the tokens of a text column depend on beside the column. */
export interface TextSource {
  /** Folder of the dataset. */
  readonly folder: string;
  readonly file: RecordFile;
  readonly rows: number;
  readonly column: StoredColumn;
  /** Place of the column among the columns. */
  readonly columnIndex: number;
  readonly preprocessing: TextPreprocessing;
  readonly files: Preparation['files'];
  readonly tokenizer: Tokenizer;
}

function hashOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/** The text in a record, in its tokens where the column holds such; undefined when missing. */
export async function readTextOf(
  file: RecordFile,
  { type, cell }: StoredColumn,
  views: RecordViews,
  record: number,
): Promise<Text | undefined> {
  const text = await file.readText(views, record, cell);
  return text === undefined || type !== 'tokens' ? text : (JSON.parse(text) as string[]);
}

/** The ids of the texts of the rows that are wanted, in order; undefined for a row without one. */
async function* readIds(
  source: TextSource,
  isWanted: (row: number) => boolean,
  maxLength: number,
  { onProgress, signal }: OpenOptions,
): AsyncGenerator<readonly number[] | undefined> {
  const { file, rows, column, tokenizer } = source;
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      signal?.throwIfAborted();
      if (!isWanted(first + record)) continue;
      const text = await readTextOf(file, column, views, record);
      yield text === undefined ? undefined : tokenizer.encode(text, maxLength);
    }
    onProgress?.(first + count, rows);
  }
}

interface Pieces {
  /** What is not there is 0. */
  add(ids: ArrayLike<number>): void;
  take(whole: boolean): Uint8Array | undefined;
}

/** Gathers rows of a fixed number of ids into pieces. */
function createPieces(width: number): Pieces {
  const pieceRows = Math.max(1, Math.floor(PIECE_BYTES / (width * TOKEN_BYTES)));
  let piece = new Int32Array(pieceRows * width);
  let rows = 0;
  return {
    add(ids) {
      piece.set(ids, rows * width);
      rows += 1;
    },
    take(whole) {
      if (rows === 0 || (whole && rows < pieceRows)) return undefined;
      const bytes = new Uint8Array(piece.buffer, 0, rows * width * TOKEN_BYTES);
      piece = new Int32Array(pieceRows * width);
      rows = 0;
      return bytes;
    },
  };
}

/** The path of a file with the ids of every text, each filled up to `maxLength` with 0. */
export function ensureTokens(source: TextSource, options: OpenOptions): Promise<string> {
  const { folder, columnIndex, preprocessing, files } = source;
  const { maxLength, tokenizer } = preprocessing;
  return ensureDerived({
    folder,
    name: `tokens-${columnIndex}-${maxLength}-${hashOf(tokenizer, files)}`,
    async *make() {
      const pieces = createPieces(maxLength);
      for await (const ids of readIds(source, () => true, maxLength, options)) {
        pieces.add(ids ?? []);
        const piece = pieces.take(true);
        if (piece !== undefined) yield piece;
      }
      const rest = pieces.take(false);
      if (rest !== undefined) yield rest;
    },
  });
}

/** The labels of the tokens of a text. */
export interface TagSource {
  readonly column: StoredColumn;
  readonly columnIndex: number;
  /** Those that have an index; what has none is passed over as what is behind the last token. */
  readonly labels: readonly string[];
}

/** The index that no label has, behind the last token of a text. */
const NO_TAG = -1;

/** The labels in a record; none when missing. @throws never for records that ingestion wrote */
export async function readTags(file: RecordFile, column: StoredColumn, views: RecordViews, record: number): Promise<readonly string[]> {
  return ((await readTextOf(file, column, views, record)) ?? []) as readonly string[];
}

/**
 * The path of a file with the ids of every text, filled up to `maxLength` with 0, and behind them the indexes of the labels
 * of its tokens, filled up with −1.
 */
export function ensureTaggedTokens(source: TextSource, tags: TagSource, { onProgress, signal }: OpenOptions): Promise<string> {
  const { folder, file, rows, column, columnIndex, preprocessing, files, tokenizer } = source;
  const { maxLength } = preprocessing;
  const indexes = new Map(tags.labels.map((label, index) => [label, index]));
  return ensureDerived({
    folder,
    name: `tagged-${columnIndex}-${tags.columnIndex}-${maxLength}-${hashOf(preprocessing.tokenizer, files, tags.labels)}`,
    async *make() {
      const pieces = createPieces(2 * maxLength);
      const row = new Int32Array(2 * maxLength);
      for await (const { views, count, first } of file.scan()) {
        for (let record = 0; record < count; record += 1) {
          signal?.throwIfAborted();
          row.fill(0, 0, maxLength).fill(NO_TAG, maxLength);
          const text = await readTextOf(file, column, views, record);
          if (text !== undefined) row.set(tokenizer.encode(text, maxLength));
          const own = await readTags(file, tags.column, views, record);
          row.set(
            own.slice(0, maxLength).map((label) => indexes.get(label) ?? NO_TAG),
            maxLength,
          );
          pieces.add(row);
          const piece = pieces.take(true);
          if (piece !== undefined) yield piece;
        }
        onProgress?.(first + count, rows);
      }
      const rest = pieces.take(false);
      if (rest !== undefined) yield rest;
    },
  });
}

/**
 * The path of a file with the windows that the texts of each split are cut into, the splits one behind the other: each
 * has `maxLength` + 1 ids and begins with the last one of the window before it. The texts of a split are joined in the
 * order of the rows, with the token for the end of a text behind each; what is left at its end and fills no window is not used.
 */
export function ensureWindows(
  source: TextSource,
  split: Preparation['split'],
  assignment: Assignment,
  options: OpenOptions,
): Promise<string> {
  const { folder, columnIndex, preprocessing, files } = source;
  const { maxLength, tokenizer, endOfText = 0 } = preprocessing;
  const width = maxLength + 1;
  return ensureDerived({
    folder,
    name: `windows-${columnIndex}-${maxLength}-${hashOf(tokenizer, files, split, endOfText)}`,
    async *make() {
      for (const each of SPLITS) {
        const pieces = createPieces(width);
        let pending: number[] = [];
        const isOwn = (row: number): boolean => assignment[row] === SPLIT_NUMBER[each];
        for await (const ids of readIds(source, isOwn, WHOLE_TEXT, options)) {
          if (ids === undefined) continue;
          for (const id of ids) pending.push(id);
          pending.push(endOfText);
          let start = 0;
          for (; pending.length - start >= width; start += maxLength) {
            pieces.add(pending.slice(start, start + width));
            const piece = pieces.take(true);
            if (piece !== undefined) yield piece;
          }
          pending = pending.slice(start);
        }
        const rest = pieces.take(false);
        if (rest !== undefined) yield rest;
      }
    },
  });
}

/** How many windows each split has, by how many tokens its texts have. */
export async function countWindows(source: TextSource, assignment: Assignment, options: OpenOptions): Promise<Record<Split, number>> {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const split of SPLITS) {
    let tokens = 0;
    const isOwn = (row: number): boolean => assignment[row] === SPLIT_NUMBER[split];
    for await (const ids of readIds(source, isOwn, WHOLE_TEXT, options)) tokens += ids === undefined ? 0 : ids.length + 1;
    counts[split] = Math.max(0, Math.floor((tokens - 1) / source.preprocessing.maxLength));
  }
  return counts;
}

/** The splits of the windows in their file. */
export function assignWindows(rows: Preparation['rows']): Assignment {
  const assignment = new Uint8Array(SPLITS.reduce((sum, split) => sum + rows[split], 0));
  let at = 0;
  for (const split of SPLITS) assignment.fill(SPLIT_NUMBER[split], at, (at += rows[split]));
  return assignment;
}
