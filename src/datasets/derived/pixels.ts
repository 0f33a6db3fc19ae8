import { decodeImage, type PixelSpec, resizePixels } from '../../preprocessing/image.ts';
import { elementsOf, type StoredColumn } from '../records/layout.ts';
import type { RecordFile } from '../records/record-file.ts';
import type { RecordViews } from '../records/record-views.ts';
import type { OpenOptions } from '../dataset.ts';
import { ensureDerived } from './row-maker.ts';

/** Images that are decoded at the same time. */
const AT_ONCE = 32;

/** Whether images lie in the records as the pixels that are wanted. */
export function hasPixels({ cell }: StoredColumn, { width, height, channels }: PixelSpec): boolean {
  return cell.storage.kind === 'array' && cell.storage.shape.join() === [height, width, channels].join();
}

/** Makes the pixels of one record. */
function pixelReader(
  { cell }: StoredColumn,
  file: RecordFile,
  spec: PixelSpec,
): (views: RecordViews, record: number) => Promise<Uint8Array> {
  const { storage } = cell;
  if (storage.kind === 'array') {
    const [height = 0, width = 0, channels = 1] = storage.shape;
    const size = elementsOf(storage.shape);
    return ({ bytes }, record) => {
      const start = record * file.rowBytes + cell.offset;
      return resizePixels(bytes.slice(start, start + size), { width, height, channels: channels === 3 ? 3 : 1 }, spec);
    };
  }
  // They were decoded once when the dataset was read, under the limits of then.
  const limits = { maxImagePixels: Number.MAX_SAFE_INTEGER };
  return async (views, record) => decodeImage(await file.readBytes(views, record, cell), spec, limits);
}

export interface PixelRows {
  readonly folder: string;
  readonly file: RecordFile;
  readonly rows: number;
  readonly column: StoredColumn;
  /** Place of the column among the columns. */
  readonly columnIndex: number;
  readonly spec: PixelSpec;
}

/** The path of a file with the pixels of every image: levels 0–255, row by row, the channels side by side. */
export function ensurePixels(
  { folder, file, rows, column, columnIndex, spec }: PixelRows,
  { onProgress, signal }: OpenOptions,
): Promise<string> {
  const { width, height, channels, fit, background } = spec;
  const readPixels = pixelReader(column, file, spec);
  return ensureDerived({
    folder,
    name: `pixels-${columnIndex}-${width}x${height}x${channels}-${fit}-${background}`,
    async *make() {
      for await (const { views, count, first } of file.scan()) {
        for (let start = 0; start < count; start += AT_ONCE) {
          signal?.throwIfAborted();
          const length = Math.min(AT_ONCE, count - start);
          yield* await Promise.all(Array.from({ length }, (_image, index) => readPixels(views, start + index)));
          onProgress?.(first + start + length, rows);
        }
      }
    },
  });
}
