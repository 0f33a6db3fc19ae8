import { cp, rename, rm, stat } from 'node:fs/promises';
import { hasCode } from '../errors/has-code.ts';

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * Takes a copy of a version for a job, as a whole or not at all, unless it is there already: the version may be deleted
 * while the job is interrupted.
 * @param folderOf where it lies; asked only when it is needed
 */
export async function copyVersion(folderOf: () => string, target: string): Promise<void> {
  if (await exists(target)) return;
  const draft = `${target}.draft`;
  await rm(draft, { recursive: true, force: true });
  await cp(folderOf(), draft, { recursive: true, dereference: true });
  await rename(draft, target);
}
