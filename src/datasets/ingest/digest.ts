import { createHash } from 'node:crypto';
import { sha256Of } from '../../packages/file-digest.ts';
import type { SourceFile } from '../source.ts';

/** The digest of a dataset's source, as `DatasetDescription.digest` says. */
export async function digestOf(files: readonly SourceFile[]): Promise<string> {
  const [only] = files;
  if (only !== undefined && files.length === 1) return sha256Of(only.path);
  const hash = createHash('sha256');
  const compare = (a: SourceFile, b: SourceFile): number => (a.name < b.name ? -1 : 1);
  for (const { path, name } of files.toSorted(compare)) hash.update(`${await sha256Of(path)}  ${name}\n`);
  return hash.digest('hex');
}
