import { SlipwayError } from '../../errors/slipway-error.ts';
import { openZip, type Zip, type ZipEntry } from '../../packages/zip.ts';
import type { DatasetFormat } from '../dataset.ts';
import type { Source, SourceFile } from '../source.ts';
import { splitInName } from '../split-names.ts';
import { createArraySource, type SourceArray } from './array-source.ts';
import { headOf, readContent } from './file-bytes.ts';
import { NPY_HEAD_BYTES, readNpyHeader } from './npy.ts';

/** An array in a file of its own, or in an archive. */
interface NamedArray {
  /** Without its ending. */
  readonly name: string;
  readonly file: string;
  open(): Promise<AsyncIterable<Buffer>>;
}

/** Names such as `x_train` and `x_test` are one column in two splits, if all say a split. */
async function createNpySource(format: DatasetFormat, named: readonly NamedArray[]): Promise<Source> {
  const splits = named.map(({ name }) => splitInName(name));
  const saySplits = splits.every((split) => split !== undefined) && new Set(splits.map(({ split }) => split)).size > 1;
  const arrays: SourceArray[] = [];
  for (const [index, { name, file, open }] of named.entries()) {
    const header = readNpyHeader(await headOf(await open(), NPY_HEAD_BYTES), file);
    const column = saySplits ? splits[index]!.rest || 'data' : name;
    const { headerBytes, rows, rowBytes, decode } = header;
    arrays.push({
      name: file,
      column: header.column(column),
      split: saySplits ? splits[index]!.split : undefined,
      rows,
      rowBytes,
      headerBytes,
      open,
      decode,
    });
  }
  return createArraySource(format, arrays);
}

function withoutEnding(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).replace(/(\.npy)?(\.gz)?$/i, '');
}

/** Arrays of NumPy, each in a file of its own. */
export function createNpyFilesSource(files: readonly SourceFile[]): Promise<Source> {
  return createNpySource(
    'npy',
    files.map((file) => ({ name: withoutEnding(file.name), file: file.name, open: async () => readContent(file.path) })),
  );
}

/** Arrays of NumPy in one archive, as `np.savez` writes it. The archive stays open until the process ends. */
export async function createNpzSource(file: SourceFile): Promise<Source> {
  const zip: Zip = await openZip(file.path);
  const entries: ZipEntry[] = [];
  for await (const entry of zip.entries()) entries.push(entry);
  if (entries.length === 0) throw new SlipwayError('INVALID_DATASET', `${file.name} holds no arrays.`);
  return createNpySource(
    'npz',
    entries.map(({ name, open }) => ({ name: withoutEnding(name), file: name, open })),
  );
}
