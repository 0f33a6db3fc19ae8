import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../packages/exists.ts';
import { replaceFile } from '../../packages/replace-file.ts';

/*
 * What is dear to make of a column, such as the pixels of image files, is made once and kept beside the records: a file
 * with one row for each row of the dataset. It serves every job that asks for the same.
 */

const DERIVED_FOLDER = 'derived';
const DRAFT_ENDING = '.tmp';

export interface DerivedRows {
  /** Folder of the dataset. */
  readonly folder: string;
  /** Says what the rows are; the same name always means the same bytes. */
  readonly name: string;
  /** The rows in order, in pieces of any size. */
  make(): AsyncIterable<Uint8Array>;
}

/**
 * The path of the file, which is made when it is not there. It comes into being as a whole, so that several processes
 * may want it at once and one that ends early leaves nothing that is taken for it.
 * @throws SlipwayError STORAGE_FULL
 */
export async function ensureDerived({ folder, name, make }: DerivedRows): Promise<string> {
  const path = join(folder, DERIVED_FOLDER, `${name}.bin`);
  if (await exists(path)) return path;
  await mkdir(join(folder, DERIVED_FOLDER), { recursive: true });
  await replaceFile({
    path,
    draft: `${path}.${randomUUID()}${DRAFT_ENDING}`,
    async write(file) {
      for await (const rows of make()) await file.writeFile(rows);
    },
    whenFull: 'The disk is full; what is made of the dataset for training does not fit.',
  });
  return path;
}

/** Removes what processes have left that ended while they made something. */
export async function removeDrafts(folder: string): Promise<void> {
  const derived = join(folder, DERIVED_FOLDER);
  if (!(await exists(derived))) return;
  for (const name of await readdir(derived)) if (name.endsWith(DRAFT_ENDING)) await rm(join(derived, name), { force: true });
}
