import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import { type Entry, getFileNameLowLevel, openPromise } from 'yauzl';
import { entryParts, invalidEntry } from './entry-names.ts';
import type { EntryWriter } from './entry-writer.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';

/** The upper half of a zip entry's external attributes is its Unix mode; these bits are its file type. */
const FILE_TYPE_MASK = 0o170000;
const REGULAR_FILE = 0o100000;
const FOLDER = 0o040000;

function checkType(name: string, entry: Entry): void {
  if (entry.isEncrypted()) throw invalidEntry(name, 'is encrypted');
  const type = (entry.externalFileAttributes >>> 16) & FILE_TYPE_MASK;
  if (type !== 0 && type !== REGULAR_FILE && type !== FOLDER)
    throw invalidEntry(name, 'is a link or a special file; only files and folders are taken');
}

/**
 * The same content as a stream that fails when it is not what the archive's checksum says, which yauzl leaves to its
 * callers, and that stays failed: yauzl only emits the error of damaged content, once, and whoever begins to listen later
 * would wait without end.
 */
function checked(content: Readable, name: string, entry: Entry): Readable {
  let checksum = 0;
  const passed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      checksum = crc32(chunk, checksum);
      done(null, chunk);
    },
    flush(done) {
      done(checksum === entry.crc32 ? null : invalidEntry(name, 'is damaged: it does not have the checksum that the archive states'));
    },
  });
  pipeline(content, passed).catch(() => {}); // whoever reads `passed` meets the same error
  content.on('error', () => {}); // it may fail once more after the pipeline has let go of it
  return passed;
}

/** A file in a zip. */
export interface ZipEntry {
  readonly name: string;
  /** As the archive states it. */
  readonly bytes: number;
  /** False for one that is stored as it is. */
  readonly compressed: boolean;
  /** Its content; the stream fails when it is not what the archive's checksum says. */
  open(): Promise<Readable>;
}

export interface Zip {
  /** Its files, in the order of its directory. @throws SlipwayError INVALID_ARCHIVE for an entry that is not to be taken. */
  entries(): AsyncGenerator<ZipEntry>;
  close(): void;
}

/** What yauzl says of a file that is no zip, or a damaged one; errors of the system stay what they are. */
function unreadable(error: unknown): unknown {
  if (error instanceof SlipwayError || (error instanceof Error && 'syscall' in error)) return error;
  return new SlipwayError('INVALID_ARCHIVE', `The zip archive is damaged: ${messageOf(error).replace(/\.$/, '')}.`, { cause: error });
}

/** @throws SlipwayError INVALID_ARCHIVE for what is no zip */
export async function openZip(path: string): Promise<Zip> {
  const options = { autoClose: false, lazyEntries: true, decodeStrings: false, validateEntrySizes: true } as const;
  const archive = await openPromise(path, options).catch((error: unknown) => {
    throw unreadable(error);
  });
  const all = async function* (): AsyncGenerator<Entry> {
    try {
      yield* archive.eachEntry();
    } catch (error) {
      throw unreadable(error);
    }
  };
  return {
    async *entries() {
      for await (const entry of all()) {
        // Names are decoded here and not by yauzl, so that those of every archive are refused in the same words.
        const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
        checkType(name, entry);
        if (name.endsWith('/')) entryParts(name);
        else {
          const open = async (): Promise<Readable> => checked(await archive.openReadStreamPromise(entry), name, entry);
          yield { name, bytes: entry.uncompressedSize, compressed: entry.compressionMethod !== 0, open };
        }
      }
    },
    close: () => archive.close(),
  };
}

/**
 * Reads the entries of a zip. A zip's directory is at its end, so the archive is spooled to a file first.
 * @param spool path of that file; gone afterwards.
 */
export async function readZipEntries(source: Readable, spool: string, writer: EntryWriter): Promise<void> {
  try {
    await pipeline(source, createWriteStream(spool, { flags: 'wx', mode: 0o600 }));
    const zip = await openZip(spool);
    try {
      for await (const { name, bytes, open } of zip.entries()) await writer.write(name, await open(), bytes);
    } finally {
      zip.close();
    }
  } finally {
    await rm(spool, { force: true });
  }
}
