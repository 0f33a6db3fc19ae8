import { createHash } from 'node:crypto';
import type { TextPreprocessing } from '../../packages/manifest.ts';
import type { Tokenizer } from '../../preprocessing/tokenizer.ts';
import { type OpenOptions, type Preparation, type Split, SPLITS } from '../dataset.ts';
import { type Assignment, SPLIT_NUMBER } from '../preparation/assign-splits.ts';
import type { StoredColumn } from '../records/layout.ts';
import type { RecordFile } from '../records/record-file.ts';
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
      const text = await file.readText(views, record, column.cell);
      yield text === undefined ? undefined : tokenizer.encode(text, maxLength);
    }
    onProgress?.(first + count, rows);
  }
}

/** Gathers rows of a fixed number of ids into pieces. */
function createPieces(width: number): { readonly add: (ids: readonly number[]) => void; take(whole: boolean): Uint8Array | undefined } {
  const pieceRows = Math.max(1, Math.floor(PIECE_BYTES / (width * TOKEN_BYTES)));
  let piece = new Int32Array(pieceRows * width);
  let rows = 0;
  return {
    /** What is not there stays 0. */
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
