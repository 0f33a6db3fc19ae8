import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack, type Pack } from 'tar-stream';

/** The start of the epoch, for every file: the archive says what is inside, not when. */
const NO_TIME = new Date(0);

async function addFiles(archive: Pack, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/')).toSorted();
  for (const name of names) {
    const file = join(folder, name);
    const status = await stat(file);
    if (!status.isFile()) continue;
    const entry = archive.entry({ name, size: status.size, mode: 0o644, mtime: NO_TIME, uid: 0, gid: 0, type: 'file' });
    await pipeline(createReadStream(file), entry);
  }
  archive.finalize();
}

/**
 * A version folder as a gzipped tar. The same files give the same bytes: names are sorted, times and owners are left
 * out, and Node's gzip writes no time either.
 */
export function packVersion(folder: string): Readable {
  const archive = pack();
  const compressed = createGzip();
  addFiles(archive, folder).catch((error: Error) => archive.destroy(error));
  pipeline(archive, compressed).catch((error: Error) => compressed.destroy(error));
  return compressed;
}
