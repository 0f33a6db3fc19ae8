import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DatasetFormat } from '../dataset.ts';
import type { Source, SourceFile } from '../source.ts';
import { createCsvSource, type CsvOptions } from './csv.ts';
import { readHead } from './file-bytes.ts';
import { createIdxSource, isIdx } from './idx.ts';

export interface SourceOptions extends CsvOptions {
  readonly format?: DatasetFormat | undefined;
}

const HEAD_BYTES = 512;

async function detectFormat({ path, name }: SourceFile): Promise<DatasetFormat> {
  const plainName = name.toLowerCase().replace(/\.gz$/, '');
  const head = await readHead(path, HEAD_BYTES);
  if (isIdx(head)) return 'idx';
  if (/\.(csv|tsv|txt)$/.test(plainName) || !head.includes(0)) return 'csv';
  throw new SlipwayError('INVALID_DATASET', `${name}: the format is not known; CSV and IDX are read.`);
}

/** The rows of these files. @throws SlipwayError INVALID_DATASET when they are of no known format. */
export async function openSource(files: readonly SourceFile[], options: SourceOptions): Promise<Source> {
  const [first] = files;
  if (first === undefined) throw new SlipwayError('INVALID_DATASET', 'There is no file.');
  const format = options.format ?? (await detectFormat(first));
  if (format === 'idx') return createIdxSource(files);
  if (files.length > 1) throw new SlipwayError('INVALID_DATASET', `A dataset of the format ${format} is one file, not ${files.length}.`);
  return createCsvSource(first, options);
}
