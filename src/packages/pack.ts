import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack, type Pack } from 'tar-stream';

/** The start of the epoch, for every file: the archive says what is inside, not when. */
const NO_TIME = new Date(0);

/** A file of an archive: its content, or where it lies on disk. */
export type ArchiveFile = { readonly content: string | Buffer } | { readonly path: string };

/** Files by their names in the archive, with `/`. */
export type ArchiveFiles = ReadonlyMap<string, ArchiveFile>;

async function addFiles(archive: Pack, files: ArchiveFiles): Promise<void> {
  for (const [name, file] of [...files].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const header = { name, mode: 0o644, mtime: NO_TIME, uid: 0, gid: 0, type: 'file' } as const;
    if ('content' in file) archive.entry(header, file.content);
    else await pipeline(createReadStream(file.path), archive.entry({ ...header, size: (await stat(file.path)).size }));
  }
  archive.finalize();
}

/** The files of a folder and of those in it. */
export async function filesOf(folder: string): Promise<ArchiveFiles> {
  const files = new Map<string, ArchiveFile>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if ((await stat(path)).isFile()) files.set(relative(folder, path).replaceAll(sep, '/'), { path });
  }
  return files;
}

/**
 * Files as a gzipped tar. The same files give the same bytes: names are sorted, times and owners are left out, and Node's
 * gzip writes no time either.
 */
export function packFiles(files: ArchiveFiles | Promise<ArchiveFiles>): Readable {
  const archive = pack();
  const compressed = createGzip();
  Promise.resolve(files)
    .then((known) => addFiles(archive, known))
    .catch((error: Error) => archive.destroy(error));
  pipeline(archive, compressed).catch((error: Error) => compressed.destroy(error));
  return compressed;
}

/** A version folder as an archive that can be uploaded again. */
export function packVersion(folder: string): Readable {
  return packFiles(filesOf(folder));
}
