import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isStorageFull } from '../errors/has-code.ts';
import { SlipwayError } from '../errors/slipway-error.ts';

export interface Replacement {
  /** Absolute path. */
  readonly path: string;
  /** Path on the same file system under which the new content is written first; it is gone afterwards in any case. */
  readonly draft: string;
  readonly write: (file: FileHandle) => Promise<void>;
  /** Also waits until the folder has the new name on disk, for what must be there after a power failure. Default false. */
  readonly syncFolder?: boolean;
  /** What is said when the disk is full. */
  readonly whenFull: string;
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file in place of the one that may be there. Whoever reads it sees the old or the new one as a whole, after a
 * crash too.
 * @throws SlipwayError STORAGE_FULL; the old one is still there then, as after any other error of writing.
 */
export async function replaceFile({ path, draft, write, syncFolder = false, whenFull }: Replacement): Promise<void> {
  try {
    const file = await open(draft, 'w');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    if (syncFolder) await sync(dirname(path));
  } catch (error) {
    await rm(draft, { force: true });
    if (isStorageFull(error)) throw new SlipwayError('STORAGE_FULL', whenFull, { cause: error });
    throw error;
  }
}
