import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { sha256Of } from '../packages/file-digest.ts';
import { VERSION_MANIFEST_FILE } from '../packages/manifest.ts';

/** The files of a version that say how it runs: all but its manifest. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => name !== VERSION_MANIFEST_FILE)
    .toSorted();
}

/** Changes whenever the files seem to: by their names, sizes and times, which costs next to nothing. */
export async function stampOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of await filesOf(folder)) {
    const { size, mtimeMs } = await stat(join(folder, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Of the files themselves, wherever they lie. */
export async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of await filesOf(folder)) hash.update(`${await sha256Of(join(folder, name))}  ${name}\n`);
  return hash.digest('hex');
}
