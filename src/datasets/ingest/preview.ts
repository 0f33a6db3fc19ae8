import type { DatasetDescription } from '../dataset.ts';
import { ARRAY_TYPES, elementsOf, type StoredColumn } from '../records/layout.ts';
import { openRecordFile, type RecordFile } from '../records/record-file.ts';
import { createRecordViews, type RecordViews } from '../records/record-views.ts';

const PREVIEW_ROWS = 5;
const MAX_TEXT = 200;
const MAX_ELEMENTS = 16;

async function previewOf(column: StoredColumn, file: RecordFile, views: RecordViews, record: number): Promise<unknown> {
  const { cell, type } = column;
  const base = record * file.rowBytes + cell.offset;
  switch (cell.storage.kind) {
    case 'number': {
      const value = views.doubles[base / 8]!;
      if (Number.isNaN(value)) return null;
      return type === 'boolean' ? value === 1 : value;
    }
    case 'string': {
      const text = await file.readText(views, record, cell);
      if (text === undefined) return null;
      if (type === 'tokens') {
        const tokens = JSON.parse(text) as string[];
        return tokens.length > MAX_ELEMENTS ? [...tokens.slice(0, MAX_ELEMENTS), '…'] : tokens;
      }
      return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
    }
    case 'bytes':
      return `image of ${views.integers[base / 4 + 2]!} bytes`;
    default: {
      const { shape, dtype } = cell.storage;
      if (type === 'image') return `image ${shape.join('×')}`;
      const values = new ARRAY_TYPES[dtype](views.bytes.buffer as ArrayBuffer, base, Math.min(elementsOf(shape), MAX_ELEMENTS));
      return elementsOf(shape) > MAX_ELEMENTS ? [...values, '…'] : [...values];
    }
  }
}

/** The first rows as people want to see them. */
export async function readPreview(
  folder: string,
  recordBytes: number,
  columns: readonly StoredColumn[],
  rows: number,
): Promise<DatasetDescription['preview']> {
  const file = await openRecordFile(folder, recordBytes, rows);
  try {
    const count = Math.min(rows, PREVIEW_ROWS);
    const views = createRecordViews(count * recordBytes);
    await file.read(0, count, views);
    const preview: Record<string, unknown>[] = [];
    for (let record = 0; record < count; record += 1) {
      const entries: [string, unknown][] = [];
      for (const column of columns) entries.push([column.name, await previewOf(column, file, views, record)]);
      preview.push(Object.fromEntries(entries));
    }
    return preview;
  } finally {
    await file.close();
  }
}
