import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { SourceFile } from '../source.ts';

/** Folders as the files in them, by name; hidden ones and links are left aside. Files are as they are. */
export async function expandFolders(files: readonly SourceFile[], maxFiles: number): Promise<SourceFile[]> {
  const all: SourceFile[] = [];
  for (const file of files) {
    if (!(await stat(file.path)).isDirectory()) {
      all.push(file);
      continue;
    }
    const entries = await readdir(file.path, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.toSorted()) {
      const name = relative(file.path, path).replaceAll(sep, '/');
      if (!/(^|\/)\./.test(name)) all.push({ path, name });
    }
  }
  if (all.length > maxFiles) {
    throw new SlipwayError('DATASET_TOO_LARGE', `The data has ${all.length} files; at most ${maxFiles} are taken.`);
  }
  return all;
}
