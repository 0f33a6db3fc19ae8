import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ColumnType } from '../dataset.ts';
import { layRecord, type RecordLayout } from '../records/layout.ts';
import { createRecordWriter, HEAP_FILE, type RecordWriter, RECORDS_FILE } from '../records/record-writer.ts';
import type { EncodedImage, OnBadRow, RowGroup, Source, SourceColumn, Value } from '../source.ts';
import { type ColumnProfile, createColumnProfile } from './column-profile.ts';
import { type ColumnSketch, createColumnSketch, isList, noteValue, readValue, storageOf, UnfitValue } from './column-sketch.ts';
import { type TextReader, textOf } from './read-value.ts';

export interface WriteOptions {
  /** Types that the owner of the data has given, by column. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** Finds what texts say. */
  readonly readText: TextReader;
  readonly maxRows: number;
  readonly maxColumns: number;
  readonly maxCategories: number;
  readonly maxBytes: number;
  /** Told from time to time how many rows have been read; a second reading of the source counts anew. */
  readonly onRows: (rows: number) => void;
}

export interface WrittenRecords {
  readonly rows: number;
  readonly bytes: number;
  readonly layout: RecordLayout;
  readonly profiles: readonly ColumnProfile[];
}

/** Rows that are looked at before the first record is written, so that types are seldom found to be others later. */
const SAMPLE_ROWS = 1_024;
/** Rows are large sometimes: when so many values wait, those of arrays and the letters of texts each, it is enough. */
const SAMPLE_VALUES = 4_000_000;

function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 1;
  if ('bytes' in value) return value.bytes.length;
  return Array.isArray(value) ? (value as string[]).reduce((sum, { length }) => sum + length, 0) : value.length;
}

function writeValue(writer: RecordWriter, profile: ColumnProfile, value: Value, original: Value): void {
  const { cell } = profile;
  switch (cell.storage.kind) {
    case 'number': {
      if (value === undefined) profile.missing();
      else profile.number(Number(value));
      return writer.number(cell, value === undefined ? Number.NaN : Number(value));
    }
    case 'string': {
      if (value === undefined) {
        profile.missing();
        return writer.missingString(cell);
      }
      if (isList(profile.sketch)) {
        const tokens = value as readonly string[];
        profile.tokens(tokens);
        return writer.string(cell, JSON.stringify(tokens), -1);
      }
      const text = textOf(original as string | number | boolean);
      return writer.string(cell, text, profile.text(text));
    }
    case 'bytes': {
      const image = value as EncodedImage;
      profile.image(image);
      return writer.bytes(cell, image.bytes);
    }
    default:
      profile.array();
      return writer.array(cell, value as ArrayLike<number>);
  }
}

/** The records that are being written, once it is known how. */
interface Draft {
  readonly layout: RecordLayout;
  readonly profiles: readonly ColumnProfile[];
  readonly writer: RecordWriter;
}

function beginDraft(folder: string, sketches: readonly ColumnSketch[], maxCategories: number): Draft {
  const layout = layRecord(sketches.map(storageOf));
  const profiles = sketches.map((sketch, index) => createColumnProfile(sketch, layout.cells[index]!, maxCategories));
  return { layout, profiles, writer: createRecordWriter(folder, layout) };
}

/** One reading of a source. */
interface Reading {
  readonly sketches: readonly ColumnSketch[];
  /** Undefined when later rows held what the storage chosen by the first ones cannot take. */
  readonly written: WrittenRecords | undefined;
}

async function readOnce(
  source: Source,
  folder: string,
  options: WriteOptions,
  known: readonly ColumnSketch[] | undefined,
  onBadRow: OnBadRow,
): Promise<Reading> {
  const { types, readText, maxRows, maxColumns, maxCategories, maxBytes, onRows } = options;
  const sketches: ColumnSketch[] = [...(known ?? [])];
  const sample: RowGroup[] = [];
  let sampledRows = 0;
  let sampledValues = 0;
  let draft: Draft | undefined;
  let fits = true;
  let rows = 0;

  function meetColumns(columns: readonly SourceColumn[]): void {
    if (columns.length > maxColumns) {
      throw new SlipwayError('DATASET_TOO_LARGE', `The data has more than the ${maxColumns} columns that are taken.`);
    }
    for (const column of columns.slice(sketches.length)) {
      sketches.push(createColumnSketch(column, types.get(column.name)));
      if (draft !== undefined) fits = false;
    }
  }

  /** The values of a row; undefined when it is bad. */
  function readRow(row: readonly Value[], onBad: (reason: string) => void): Value[] | undefined {
    try {
      return sketches.map((sketch, index) => readValue(row[index], sketch, readText));
    } catch (error) {
      if (!(error instanceof UnfitValue)) throw error;
      onBad(error.message);
      return undefined;
    }
  }

  function writeGroup({ layout, profiles, writer }: Draft, group: RowGroup): void {
    for (const [at, row] of group.rows.entries()) {
      const values = readRow(row, (reason) => onBadRow(group.place(at), reason));
      if (values === undefined) continue;
      rows += 1;
      if (rows > maxRows) throw new SlipwayError('DATASET_TOO_LARGE', `The data has more than the ${maxRows} rows that are taken.`);
      for (let index = 0; index < sketches.length; index += 1) {
        const sketch = sketches[index]!;
        const isNew = noteValue(values[index], sketch);
        if (isNew && fits) fits = storageOf(sketch).kind === layout.cells[index]!.storage.kind;
      }
      if (!fits) continue;
      for (let index = 0; index < profiles.length; index += 1) writeValue(writer, profiles[index]!, values[index], row[index]);
      writer.endRecord();
    }
    if (writer.length > maxBytes)
      throw new SlipwayError('DATASET_TOO_LARGE', `The data takes more than the ${maxBytes} bytes that are allowed.`);
  }

  /** Looks at the rows that wait, chooses by them, and writes them. Bad ones are only reported when they are written. */
  function writeSample(): void {
    for (const group of sample) {
      for (const row of group.rows) {
        const values = readRow(row, () => {});
        for (const [index, value] of values?.entries() ?? []) noteValue(value, sketches[index]!);
      }
    }
    draft = beginDraft(folder, sketches, maxCategories);
    for (const group of sample.splice(0)) writeGroup(draft, group);
  }

  let bytes = 0;
  try {
    for await (const group of source.rows(onBadRow)) {
      meetColumns(group.columns);
      if (draft !== undefined) writeGroup(draft, group);
      else {
        sample.push(group);
        sampledRows += group.rows.length;
        for (const row of group.rows) for (const value of row) sampledValues += sizeOf(value);
        if (known !== undefined || sampledRows >= SAMPLE_ROWS || sampledValues >= SAMPLE_VALUES) writeSample();
      }
      onRows(draft === undefined ? sampledRows : rows);
    }
    if (draft === undefined) writeSample();
  } finally {
    bytes = draft?.writer.close() ?? 0;
  }
  if (fits) return { sketches, written: { rows, bytes, layout: draft!.layout, profiles: draft!.profiles } };
  for (const file of [RECORDS_FILE, HEAP_FILE]) rmSync(join(folder, file), { force: true });
  return { sketches, written: undefined };
}

/**
 * Writes the rows of a source as records. A column is stored by what its first rows hold; when a later row holds
 * something else, the rest is only looked at, and all is written once more by what the whole source holds.
 * @param createOnBadRow called for each reading of the source, so that each counts anew.
 */
export async function writeRecords(
  source: Source,
  folder: string,
  options: WriteOptions,
  createOnBadRow: () => OnBadRow,
): Promise<WrittenRecords> {
  const first = await readOnce(source, folder, options, undefined, createOnBadRow());
  if (first.written !== undefined) return first.written;
  const second = await readOnce(source, folder, options, first.sketches, createOnBadRow());
  if (second.written !== undefined) return second.written;
  throw new SlipwayError('INVALID_DATASET', 'The data changed while it was read.');
}
