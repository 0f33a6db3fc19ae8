import type { Assignment } from '../preparation/assign-splits.ts';
import { combineSeeds, createRandom, shuffle } from '../random.ts';
import type { RowFile } from '../records/record-file.ts';
import { createRecordViews, type RecordViews } from '../records/record-views.ts';
import type { RowOrder, Window } from './windows.ts';

/** A dataset that is in memory as a whole: every pass over it is one window. */
export interface ResidentRows {
  /** @param skip rows of the split to pass over. */
  window(splitNumber: number, order: RowOrder | undefined, skip: number): Promise<Window>;
}

/** The files are read with the first window that is asked for. */
export function createResidentRows(files: readonly RowFile[], assignment: Assignment): ResidentRows {
  const rows = assignment.length;
  let loading: Promise<readonly RecordViews[]> | undefined;
  /** The rows of each split, ascending. */
  const rowsOf = new Map<number, Uint32Array>();

  async function load(): Promise<readonly RecordViews[]> {
    const views = files.map((file) => createRecordViews(rows * file.rowBytes));
    await Promise.all(files.map((file, index) => file.read(0, rows, views[index]!)));
    return views;
  }

  return {
    async window(splitNumber, order, skip) {
      loading ??= load();
      const views = await loading;
      let own = rowsOf.get(splitNumber);
      if (own === undefined)
        rowsOf.set(splitNumber, (own = Uint32Array.from(assignment.keys()).filter((row) => assignment[row] === splitNumber)));
      const records = own.slice();
      if (order !== undefined) shuffle(records, records.length, createRandom(combineSeeds(order.seed, order.epoch)));
      return { views, records: records.subarray(skip) };
    },
  };
}
