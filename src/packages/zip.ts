import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Entry, openPromise } from 'yauzl';
import { invalidEntry } from './entry-names.ts';
import type { EntryWriter } from './entry-writer.ts';

/** The upper half of a zip entry's external attributes is its Unix mode; these bits are its file type. */
const FILE_TYPE_MASK = 0o170000;
const REGULAR_FILE = 0o100000;
const FOLDER = 0o040000;

function checkType(entry: Entry): void {
  if (entry.isEncrypted()) throw invalidEntry(entry.fileName, 'is encrypted');
  const type = (entry.externalFileAttributes >>> 16) & FILE_TYPE_MASK;
  if (type !== 0 && type !== REGULAR_FILE && type !== FOLDER)
    throw invalidEntry(entry.fileName, 'is a link or a special file; only files and folders are taken');
}

/**
 * The same content as a stream that stays failed once it failed. yauzl only emits the error of damaged content, once, and
 * whoever begins to listen later would wait without end.
 */
function whole(content: Readable): Readable {
  const passed = new PassThrough();
  pipeline(content, passed).catch(() => {}); // whoever reads `passed` meets the same error
  content.on('error', () => {}); // it may fail once more after the pipeline has let go of it
  return passed;
}

/**
 * Reads the entries of a zip. A zip's directory is at its end, so the archive is spooled to a file first.
 * @param spool path of that file; gone afterwards.
 */
export async function readZipEntries(source: Readable, spool: string, writer: EntryWriter): Promise<void> {
  try {
    await pipeline(source, createWriteStream(spool, { flags: 'wx', mode: 0o600 }));
    const archive = await openPromise(spool, { autoClose: false, lazyEntries: true, strictFileNames: true, validateEntrySizes: true });
    try {
      for await (const entry of archive.eachEntry()) {
        checkType(entry);
        if (entry.fileName.endsWith('/')) continue;
        await writer.write(entry.fileName, whole(await archive.openReadStreamPromise(entry)));
      }
    } finally {
      archive.close();
    }
  } finally {
    await rm(spool, { force: true });
  }
}
