import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { sha256Of } from '../packages/file-digest.ts';

/** Raised whenever the compiler gives another graph for the same model, or checks it in another way. */
const REVISION = 2;

/**
 * The key under which the compiled form of a model is kept: a digest of what it is made of.
 * @param files paths inside the folder
 */
export async function cacheKey(folder: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(`slipway compiler ${REVISION}\n`);
  for (const name of files.toSorted()) hash.update(`${await sha256Of(join(folder, name))}  ${name}\n`);
  return hash.digest('hex');
}
