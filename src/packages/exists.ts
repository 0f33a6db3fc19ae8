import { lstat } from 'node:fs/promises';
import { hasCode } from '../errors/has-code.ts';

/** Whether something has this path, be it a link that leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
