import { SlipwayError } from '../../errors/slipway-error.ts';
import { type Preparation, type Split, type SplitRequest, SPLITS } from '../dataset.ts';
import { createPermutation } from '../permutation.ts';
import { combineSeeds } from '../random.ts';
import { splitNamed } from '../split-names.ts';
import type { StoredColumn } from '../records/layout.ts';
import type { RecordFile } from '../records/record-file.ts';
import { apportion } from './apportion.ts';
import { codeReader, columnNamed, type NumberReader } from './record-columns.ts';
import type { ResolvedTarget } from './resolve-target.ts';

export type ResolvedSplit = Preparation['split'];

/** The number of a split in an assignment. */
export const SPLIT_NUMBER = { train: 0, validation: 1, test: 2 } as const satisfies Record<Split, number>;
const UNUSED = 255;

/** For each row the number of its split; another number when it is in none. */
export type Assignment = Uint8Array;

const DEFAULT_SHARE = 0.1;

interface SplitColumn {
  readonly name: string;
  readonly splits: ReadonlySet<Split>;
  /** The number of the split that a record names. */
  readonly splitOf: NumberReader;
}

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'split', message }] });
}

function splitColumnOf(name: string, columns: readonly StoredColumn[], recordBytes: number): SplitColumn {
  const column = columnNamed(columns, name, 'split column');
  const splits = column.dictionary?.map(splitNamed);
  if (splits === undefined || !splits.includes('train')) {
    throw unsuitable(
      `The column "${name}" does not say which rows are for training: it must have the value "train", and may have "validation" and "test".`,
    );
  }
  const numbers = splits.map((split) => (split === undefined ? UNUSED : SPLIT_NUMBER[split]));
  const codeOf = codeReader(column, recordBytes);
  const known = new Set(splits.filter((split) => split !== undefined));
  return { name, splits: known, splitOf: (views, record) => numbers[codeOf(views, record)] ?? UNUSED };
}

function resolveShares({ validation, test }: SplitRequest, column: SplitColumn | undefined): { validation: number; test: number } {
  const shareOf = (split: 'validation' | 'test', asked: number | undefined): number => {
    const told = column?.splits.has(split) === true;
    if (told && asked !== undefined && asked > 0)
      throw unsuitable(`The column "${column.name}" names rows for ${split}, so no share of them can be drawn.`);
    // A column that tells of one of them is taken to tell all of testing; validation is still needed to train well.
    const byDefault = split === 'test' && column !== undefined ? 0 : DEFAULT_SHARE;
    return told ? 0 : (asked ?? byDefault);
  };
  const shares = { validation: shareOf('validation', validation), test: shareOf('test', test) };
  if (!(shares.validation >= 0 && shares.test >= 0 && shares.validation + shares.test < 1)) {
    throw unsuitable(
      `The shares for validation (${shares.validation}) and test (${shares.test}) must be at least 0 and together less than 1.`,
    );
  }
  return shares;
}

/** How many of each group go to test and to validation; groups are classes, or there is one of all rows. */
function sharesOfGroups(counts: readonly number[], { validation, test }: ResolvedSplit): { test: number[]; validation: number[] } {
  const forTest = apportion(counts, test);
  const left = counts.map((count, group) => count - forTest[group]!);
  return { test: forTest, validation: apportion(left, test === 1 ? 0 : validation / (1 - test)) };
}

export interface SplitSource {
  readonly file: RecordFile;
  readonly rows: number;
  readonly columns: readonly StoredColumn[];
  readonly target: ResolvedTarget;
}

/** Fills in what a request leaves out. @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA */
export function resolveSplit(
  request: SplitRequest,
  ownColumn: string | undefined,
  { columns, target, recordBytes }: Pick<SplitSource, 'columns' | 'target'> & { readonly recordBytes: number },
): ResolvedSplit {
  const name = request.column ?? ownColumn;
  const column = name === undefined ? undefined : splitColumnOf(name, columns, recordBytes);
  const order = request.order ?? 'random';
  return {
    ...(name !== undefined && { column: name }),
    ...resolveShares(request, column),
    order,
    seed: request.seed ?? 0,
    stratify: order === 'random' && target.kind === 'class' && (request.stratify ?? true),
  };
}

/**
 * Says for each row in which split it is. The same split of the same rows always gives the same assignment. Rows without
 * a target are in none. Takes two looks through the rows and a byte of memory for each.
 */
export async function assignSplits(split: ResolvedSplit, { file, rows, columns, target }: SplitSource): Promise<Assignment> {
  const column = split.column === undefined ? undefined : splitColumnOf(split.column, columns, file.rowBytes);
  const assignment = new Uint8Array(rows);
  const values = new Float32Array(target.kind === 'number' ? target.width : 0);
  const groupOf = (views: Parameters<NumberReader>[0], record: number): number => {
    if (target.kind === 'class') {
      const label = target.classOf(views, record);
      return label < 0 || split.stratify ? label : 0;
    }
    if (target.kind === 'tags') return target.isMissing(views, record) ? -1 : 0;
    if (target.kind !== 'number') return 0;
    target.read(views, record, values, 0);
    return Number.isNaN(values[0]) ? -1 : 0;
  };
  const groups = split.stratify && target.kind === 'class' ? target.labels.length : 1;
  const counts = Array<number>(groups).fill(0);
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      const group = groupOf(views, record);
      const named = group < 0 ? UNUSED : (column?.splitOf(views, record) ?? SPLIT_NUMBER.train);
      assignment[first + record] = named;
      if (named === SPLIT_NUMBER.train) counts[group] = counts[group]! + 1;
    }
  }
  const shares = sharesOfGroups(counts, split);
  if (split.order === 'ordered') {
    // The order of the rows decides: what comes last is for testing, what comes before that for validation.
    let left = counts[0]!;
    for (let row = 0; row < rows; row += 1) {
      if (assignment[row] !== SPLIT_NUMBER.train) continue;
      if (left <= shares.test[0]!) assignment[row] = SPLIT_NUMBER.test;
      else if (left <= shares.test[0]! + shares.validation[0]!) assignment[row] = SPLIT_NUMBER.validation;
      left -= 1;
    }
    return assignment;
  }
  const places = counts.map((count, group) => createPermutation(count, combineSeeds(split.seed, group)));
  const met = Array<number>(groups).fill(0);
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      if (assignment[first + record] !== SPLIT_NUMBER.train) continue;
      const group = groupOf(views, record);
      const place = places[group]!(met[group]!);
      met[group] = met[group]! + 1;
      if (place < shares.test[group]!) assignment[first + record] = SPLIT_NUMBER.test;
      else if (place < shares.test[group]! + shares.validation[group]!) assignment[first + record] = SPLIT_NUMBER.validation;
    }
  }
  return assignment;
}

/** Rows of each split. */
export function countSplits(assignment: Assignment): Record<Split, number> {
  const counts = Array<number>(256).fill(0);
  for (const number of assignment) counts[number] = counts[number]! + 1;
  return Object.fromEntries(SPLITS.map((split) => [split, counts[SPLIT_NUMBER[split]]!])) as Record<Split, number>;
}
