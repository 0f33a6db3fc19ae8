import { combineSeeds, createRandom, shuffle, shuffled } from '../random.ts';
import type { Assignment } from '../preparation/assign-splits.ts';
import type { RowFile } from '../records/record-file.ts';
import { createRecordViews, type RecordViews } from '../records/record-views.ts';

/** Rows in memory, and which of them come in which order. */
export interface Window {
  /** Of each file. */
  readonly views: readonly RecordViews[];
  /** Rows of the split by their place in `views`, in the order in which they are to come. */
  readonly records: Uint32Array;
}

/** What decides an order: the same numbers give the same one. */
export interface RowOrder {
  readonly seed: number;
  readonly epoch: number;
}

/** What is read at once from a random place: large enough that a disk is busy reading and not seeking. */
const BLOCK_BYTES = 256 * 1024;

/** The blocks of records in which a split has rows. */
export interface SplitBlocks {
  readonly blockRecords: number;
  /** Blocks by their number, ascending. */
  readonly blocks: Uint32Array;
  /** Rows of the split in each of them. */
  readonly counts: Uint32Array;
}

/** @param rowBytes of all files together. */
export function findBlocks(assignment: Assignment, splitNumber: number, rowBytes: number): SplitBlocks {
  const blockRecords = Math.max(1, Math.floor(BLOCK_BYTES / rowBytes));
  const all = new Uint32Array(Math.ceil(assignment.length / blockRecords));
  for (let row = 0; row < assignment.length; row += 1) {
    if (assignment[row] === splitNumber) all[Math.floor(row / blockRecords)]! += 1;
  }
  const blocks = Uint32Array.from(all.keys()).filter((block) => all[block]! > 0);
  return { blockRecords, blocks, counts: blocks.map((block) => all[block]!) };
}

export interface WindowOptions {
  /** Each has one row for each row of the dataset. */
  readonly files: readonly RowFile[];
  readonly assignment: Assignment;
  readonly splitNumber: number;
  readonly split: SplitBlocks;
  /** Most bytes of a window; there are two of them, one that is used and one that is read. */
  readonly windowBytes: number;
  readonly shuffle: RowOrder | undefined;
  /** Rows of the split to pass over; windows that hold no other are not read. */
  readonly skip: number;
}

/**
 * The rows of a split, a window at a time. Shuffled, each window holds blocks from all over the file and its rows are
 * shuffled as a whole. The next window is read while one is used. A window is valid until the next is asked for.
 */
export async function* readWindows(options: WindowOptions): AsyncGenerator<Window> {
  const { files, assignment, splitNumber, split, windowBytes, shuffle: order } = options;
  const { blockRecords, blocks, counts } = split;
  const rowBytes = files.reduce((sum, file) => sum + file.rowBytes, 0);
  const perWindow = Math.max(1, Math.floor(windowBytes / (blockRecords * rowBytes)));
  const windows = Math.ceil(blocks.length / perWindow);
  const blockOrder =
    order === undefined ? Uint32Array.from(blocks.keys()) : shuffled(blocks.length, createRandom(combineSeeds(order.seed, order.epoch)));
  const rowsInWindow = (window: number): number =>
    blockOrder.subarray(window * perWindow, (window + 1) * perWindow).reduce((sum, index) => sum + counts[index]!, 0);

  let first = 0;
  let { skip } = options;
  while (first < windows && skip >= rowsInWindow(first)) {
    skip -= rowsInWindow(first);
    first += 1;
  }
  const windowRows = Math.min(perWindow, blocks.length) * blockRecords;
  const room = Array.from({ length: Math.min(2, windows - first) }, () =>
    files.map((file) => createRecordViews(windowRows * file.rowBytes)),
  );

  async function load(window: number): Promise<Window> {
    const views = room[window % room.length]!;
    const chosen = blockOrder.subarray(window * perWindow, (window + 1) * perWindow);
    const records = new Uint32Array(rowsInWindow(window));
    const reads: Promise<void>[] = [];
    let count = 0;
    for (const [place, index] of chosen.entries()) {
      const start = blocks[index]! * blockRecords;
      const length = Math.min(blockRecords, assignment.length - start);
      for (const [at, file] of files.entries()) reads.push(file.read(start, length, views[at]!, place * blockRecords));
      for (let record = 0; record < length; record += 1) {
        if (assignment[start + record] !== splitNumber) continue;
        records[count] = place * blockRecords + record;
        count += 1;
      }
    }
    if (order !== undefined) shuffle(records, count, createRandom(combineSeeds(order.seed, order.epoch, window + 1)));
    await Promise.all(reads);
    return { views, records };
  }

  let loading = first < windows ? load(first) : undefined;
  for (let window = first; window < windows; window += 1) {
    const { views, records } = await loading!;
    if (window + 1 < windows) {
      loading = load(window + 1);
      loading.catch(() => {}); // when whoever reads stops early, nobody awaits it
    }
    yield { views, records: window === first ? records.subarray(skip) : records };
  }
}
