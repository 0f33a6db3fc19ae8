import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isStorageFull } from '../errors/has-code.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import { createByteBudget } from '../packages/limit-bytes.ts';
import type { SourceFile } from './source.ts';

/** A file that comes in pieces, and goes on after an interruption, also of the server. */
export interface Upload {
  readonly id: string;
  /** Of the file, as its owner calls it. */
  readonly name: string;
  /** Of the whole file, in bytes. */
  readonly length: number;
  /** Bytes that are there. */
  readonly offset: number;
  /** When it is removed unless something more comes, in milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface UploadStoreOptions {
  readonly folder: string;
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  /** An upload to which nothing was added for this long is removed, in milliseconds. */
  readonly expiryMs: number;
}

/** Files on their way in, piece by piece. */
export interface UploadStore {
  /** Removes what has expired while the server was not there. */
  start(): Promise<void>;
  /** @throws SlipwayError BODY_TOO_LARGE */
  create(name: string, length: number): Promise<Upload>;
  /** @throws SlipwayError UPLOAD_NOT_FOUND */
  describe(id: string): Promise<Upload>;
  /**
   * Adds a piece. What has come of one that breaks off stays.
   * @throws SlipwayError UPLOAD_NOT_FOUND; UPLOAD_CONFLICT when the upload is not at `offset`, or another piece is coming;
   *   BODY_TOO_LARGE; STORAGE_FULL.
   */
  append(id: string, offset: number, piece: Readable): Promise<Upload>;
  /** @throws SlipwayError UPLOAD_NOT_FOUND */
  remove(id: string): Promise<void>;
  /** The files of uploads that are whole. @throws SlipwayError UPLOAD_NOT_FOUND, UPLOAD_CONFLICT */
  filesOf(ids: readonly string[]): Promise<SourceFile[]>;
}

/** What is kept beside the bytes. */
interface StoredUpload {
  readonly name: string;
  readonly length: number;
}

const ID = /^[0-9a-f]{32}$/;

function notFound(id: string): SlipwayError {
  return new SlipwayError('UPLOAD_NOT_FOUND', `There is no upload "${id.slice(0, 64)}"; it may have expired.`);
}

export function createUploadStore({ folder, maxBytes, expiryMs }: UploadStoreOptions): UploadStore {
  const busy = new Set<string>();
  const bytesOf = (id: string): string => join(folder, `${id}.bin`);
  const recordOf = (id: string): string => join(folder, `${id}.json`);

  async function describe(id: string): Promise<Upload> {
    // The id becomes part of a path.
    if (!ID.test(id)) throw notFound(id);
    try {
      const { name, length } = JSON.parse(await readFile(recordOf(id), 'utf8')) as StoredUpload;
      const { size, mtimeMs } = await stat(bytesOf(id));
      const expiresAt = mtimeMs + expiryMs;
      if (expiresAt > Date.now() || busy.has(id)) return { id, name, length, offset: size, expiresAt };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    throw notFound(id);
  }

  async function discard(id: string): Promise<void> {
    await rm(recordOf(id), { force: true });
    await rm(bytesOf(id), { force: true });
  }

  async function removeExpired(): Promise<void> {
    await mkdir(folder, { recursive: true });
    const ids = new Set((await readdir(folder)).map((name) => name.replace(/\..*$/, '')));
    for (const id of ids) {
      if (
        await describe(id).then(
          () => false,
          () => true,
        )
      )
        await discard(id);
    }
  }

  return {
    start: removeExpired,
    describe,
    async create(name, length) {
      if (length > maxBytes) throw new SlipwayError('BODY_TOO_LARGE', `The file has ${length} bytes; at most ${maxBytes} are taken.`);
      await removeExpired();
      const id = randomBytes(16).toString('hex');
      await writeFile(bytesOf(id), '');
      await writeFile(recordOf(id), JSON.stringify({ name, length } satisfies StoredUpload), { flush: true });
      return describe(id);
    },
    async append(id, offset, piece) {
      const { name, length, offset: at } = await describe(id);
      if (busy.has(id)) throw new SlipwayError('UPLOAD_CONFLICT', `Another request is sending to the upload of ${name}.`);
      if (offset !== at) throw new SlipwayError('UPLOAD_CONFLICT', `The upload of ${name} is at byte ${at}, not ${offset}.`);
      busy.add(id);
      try {
        const target = createWriteStream(bytesOf(id), { flags: 'r+', start: at, flush: true });
        await pipeline(piece, createByteBudget(length - at).pass(), target);
        return await describe(id);
      } catch (error) {
        if (isStorageFull(error)) {
          throw new SlipwayError('STORAGE_FULL', 'The disk is full; what was sent before stays.', { cause: error });
        }
        throw error;
      } finally {
        busy.delete(id);
      }
    },
    async remove(id) {
      await describe(id);
      await discard(id);
    },
    async filesOf(ids) {
      const uploads = await Promise.all(ids.map(describe));
      const partial = uploads.find(({ offset, length }) => offset < length);
      if (partial !== undefined) {
        const { name, offset, length } = partial;
        throw new SlipwayError('UPLOAD_CONFLICT', `Of ${name} only ${offset} of ${length} bytes have come.`);
      }
      return uploads.map(({ id, name }) => ({ path: bytesOf(id), name }));
    },
  };
}
