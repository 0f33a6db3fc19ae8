import type { RecordViews } from '../records/record-views.ts';

/**
 * Writes one part of some examples: of the records `records[from] … records[to − 1]`, the first one to row `row` of
 * the tensor. It loops over one column at a time: such loops are short enough to be compiled well.
 */
export type Fill<Data> = (views: RecordViews, records: Uint32Array, from: number, to: number, data: Data, row: number) => void;

/** What each of the 256 levels of a byte becomes, so that nothing is computed for each of many pixels. */
export function levelsOf({ scale, mean, std }: { scale: number; mean: number; std: number }): Float32Array {
  return Float32Array.from({ length: 256 }, (_level, level) => (level * scale - mean) / std);
}
