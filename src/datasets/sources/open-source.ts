import { SlipwayError } from '../../errors/slipway-error.ts';
import { DATASET_FORMATS, type DatasetFormat } from '../dataset.ts';
import type { Source, SourceFile } from '../source.ts';
import { createCsvSource, type CsvOptions } from './csv.ts';
import { readHead } from './file-bytes.ts';
import { createIdxSource, isIdx } from './idx.ts';
import { createJsonlSource } from './jsonl.ts';
import { createNpyFilesSource, createNpzSource } from './npy-source.ts';
import { isNpy } from './npy.ts';

export interface SourceOptions extends CsvOptions {
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

async function detectFormat({ path, name }: SourceFile): Promise<DatasetFormat> {
  const head = await readHead(path, HEAD_BYTES);
  if (isIdx(head)) return 'idx';
  if (isNpy(head)) return 'npy';
  if (head.toString('latin1', 0, 4) === 'PAR1') return 'parquet';
  const plainName = name.toLowerCase().replace(/\.gz$/, '');
  const byName = ENDINGS.find(([ending]) => ending.test(plainName));
  if (byName !== undefined) return byName[1];
  if (!head.includes(0)) return head.toString('utf8').trimStart().startsWith('{') ? 'jsonl' : 'csv';
  throw new SlipwayError('INVALID_DATASET', `${name} is of no format that is known; read are ${DATASET_FORMATS.join(', ')}.`);
}

function onlyFile(files: readonly SourceFile[], format: DatasetFormat): SourceFile {
  if (files.length > 1) throw new SlipwayError('INVALID_DATASET', `A dataset of the format ${format} is one file, not ${files.length}.`);
  return files[0]!;
}

/** The rows of these files. @throws SlipwayError INVALID_DATASET when they are of no known format. */
export async function openSource(files: readonly SourceFile[], options: SourceOptions): Promise<Source> {
  const [first] = files;
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
    case 'idx':
      return createIdxSource(files);
  }
}
