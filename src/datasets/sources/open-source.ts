import { SlipwayError } from '../../errors/slipway-error.ts';
import { DATASET_FORMATS, type DatasetFormat } from '../dataset.ts';
import type { Source, SourceFile } from '../source.ts';
import { createCsvSource, type CsvOptions } from './csv.ts';
import { expandFolders } from './expand-folders.ts';
import { readHead } from './file-bytes.ts';
import { createIdxSource, isIdx } from './idx.ts';
import { isImageName } from './image-files.ts';
import { createImageSource, type ImageOptions } from './images.ts';
import { createJsonlSource } from './jsonl.ts';
import { createNpyFilesSource, createNpzSource } from './npy-source.ts';
import { isNpy } from './npy.ts';

export interface SourceOptions extends CsvOptions, ImageOptions {
  readonly format?: DatasetFormat | undefined;
}

const HEAD_BYTES = 512;

/** What the ends of file names say. */
const ENDINGS: readonly (readonly [RegExp, DatasetFormat])[] = [
  [/\.(csv|tsv|tab)$/, 'csv'],
  [/\.(jsonl|ndjson)$/, 'jsonl'],
  [/\.npy$/, 'npy'],
  [/\.npz$/, 'npz'],
];

function isTar(head: Buffer): boolean {
  return head.toString('latin1', 257, 262) === 'ustar';
}

function isZip(head: Buffer): boolean {
  return head.toString('latin1', 0, 2) === 'PK';
}

async function detectFormat({ path, name }: SourceFile): Promise<DatasetFormat> {
  if (isImageName(name)) return 'images';
  const head = await readHead(path, HEAD_BYTES);
  if (isIdx(head)) return 'idx';
  if (isNpy(head)) return 'npy';
  if (head.toString('latin1', 0, 4) === 'PAR1') return 'parquet';
  const plainName = name.toLowerCase().replace(/\.gz$/, '');
  const byName = ENDINGS.find(([ending]) => ending.test(plainName));
  if (byName !== undefined) return byName[1];
  // The name of the first file stands in front of its content.
  if (isZip(head)) return head.includes('.npy') ? 'npz' : 'images';
  if (isTar(head)) return 'images';
  if (!head.includes(0)) return head.toString('utf8').trimStart().startsWith('{') ? 'jsonl' : 'csv';
  throw new SlipwayError('INVALID_DATASET', `${name} is of no format that is known; read are ${DATASET_FORMATS.join(', ')}.`);
}

function onlyFile(files: readonly SourceFile[], format: DatasetFormat): SourceFile {
  if (files.length > 1) throw new SlipwayError('INVALID_DATASET', `A dataset of the format ${format} is one file, not ${files.length}.`);
  return files[0]!;
}

async function openImages(files: readonly SourceFile[], options: ImageOptions): Promise<Source> {
  const [first] = files as [SourceFile];
  const head = isImageName(first.name) ? Buffer.alloc(0) : await readHead(first.path, HEAD_BYTES);
  const place = isZip(head) ? 'zip' : isTar(head) ? 'tar' : 'files';
  if (place !== 'files') onlyFile(files, 'images');
  return createImageSource(files, place, options);
}

/** The rows of these files, or of the files in these folders. @throws SlipwayError INVALID_DATASET when they are of no known format. */
export async function openSource(given: readonly SourceFile[], options: SourceOptions): Promise<Source> {
  const files = await expandFolders(given, options.maxFiles);
  const first = files.find(({ name }) => isImageName(name)) ?? files[0];
  if (first === undefined) throw new SlipwayError('INVALID_DATASET', 'There is no file.');
  const format = options.format ?? (await detectFormat(first));
  switch (format) {
    case 'csv':
      return createCsvSource(onlyFile(files, format), options);
    case 'jsonl':
      return createJsonlSource(onlyFile(files, format), options);
    case 'npy':
      return createNpyFilesSource(files);
    case 'npz':
      return createNpzSource(onlyFile(files, format));
    case 'parquet':
      return (await import('./parquet.ts')).createParquetSource(onlyFile(files, format));
    case 'images':
      return openImages(files, options);
    case 'idx':
      return createIdxSource(files);
  }
}
