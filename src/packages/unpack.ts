import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { isStorageFull } from '../errors/has-code.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { entryParts, invalidEntry } from './entry-names.ts';
import { createEntryWriter, type EntryWriter, type Unpacked, type UnpackLimits } from './entry-writer.ts';
import { decompressor, ZSTD_MAGIC } from './compression.ts';
import { createByteBudget } from './limit-bytes.ts';
import { readSlip, SLIP_MAGIC } from './slip.ts';
import { readZipEntries } from './zip.ts';

async function unpackTar(source: Readable, writer: EntryWriter): Promise<void> {
  const archive = extract();
  const broken = new AbortController();
  let failure: unknown;
  // An archive that ends in the middle of a file says so here; the file itself would be waited for without end.
  const reading = pipeline(source, archive).catch((error: unknown) => {
    failure ??= error;
    broken.abort();
  });
  try {
    for await (const entry of archive) {
      const { name, type, size } = entry.header;
      if (type === 'directory') {
        if (name !== './' && name !== '.') entryParts(name);
        entry.resume();
      } else if (type === 'file' || type === 'contiguous-file') await writer.write(name, entry as unknown as Readable, size, broken.signal);
      else throw invalidEntry(name, `is a ${type ?? 'special file'}; only files and folders are taken`);
    }
  } catch (error) {
    failure ??= error;
    archive.destroy();
  }
  await reading;
  if (failure !== undefined) throw failure;
}

/** The first bytes of a stream, and the whole stream again. */
async function peek(source: AsyncIterable<Uint8Array>, count: number): Promise<{ head: Buffer; whole: Readable }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head, whole: Readable.from(rest(), { objectMode: false }) };
}

const TAR_MAGIC_OFFSET = 257;
/** So many of the first bytes tell the kind of archive. */
const PEEKED_BYTES = TAR_MAGIC_OFFSET + 5;

const isTar = (head: Buffer): boolean => head.toString('latin1', TAR_MAGIC_OFFSET, TAR_MAGIC_OFFSET + 5) === 'ustar';
const isSlip = (head: Buffer): boolean => head.toString('latin1', 0, SLIP_MAGIC.length) === SLIP_MAGIC;

/** Reads what a compressed stream becomes. What it unpacks to is bounded by whoever reads it. */
async function through(source: Readable, inflated: Transform, read: (inflated: Readable) => Promise<void>): Promise<void> {
  const inflating = pipeline(source, inflated);
  inflating.catch(() => {});
  await read(inflated);
  await inflating;
}

async function unpackUncompressed(source: Readable, writer: EntryWriter): Promise<void> {
  const { head, whole } = await peek(source, PEEKED_BYTES);
  if (isSlip(head)) await readSlip(whole, writer);
  else if (isTar(head)) await unpackTar(whole, writer);
  else throw new SlipwayError('INVALID_ARCHIVE', 'What the body unpacks to is not a tar or slip archive.');
}

async function unpackAny(source: AsyncIterable<Uint8Array>, folder: string, limits: UnpackLimits, writer: EntryWriter): Promise<void> {
  const { head, whole } = await peek(source, PEEKED_BYTES);
  const limited = createByteBudget(limits.maxCompressedBytes).pass();
  const counting = pipeline(whole, limited);
  counting.catch(() => {}); // whoever reads `limited` meets the same error
  if (head[0] === 0x1f && head[1] === 0x8b) await through(limited, createGunzip(), (tar) => unpackTar(tar, writer));
  else if (head.subarray(0, ZSTD_MAGIC.length).equals(ZSTD_MAGIC))
    await through(limited, decompressor(), (inflated) => unpackUncompressed(inflated, writer));
  else if (head.toString('latin1', 0, 2) === 'PK') await readZipEntries(limited, `${folder}.zip`, writer);
  else if (isTar(head)) await unpackTar(limited, writer);
  else if (isSlip(head)) await readSlip(limited, writer);
  else throw new SlipwayError('INVALID_ARCHIVE', 'The body is not a tar, tar.gz, tar.zst, zip, slip or slip.zst archive.');
  await counting;
}

/** Archives are often made of a folder, not of its content; the files of a lone top folder are the version's. */
async function stripTopFolder(folder: string): Promise<void> {
  const [only, ...more] = await readdir(folder, { withFileTypes: true });
  if (only === undefined || more.length > 0 || !only.isDirectory()) return;
  const top = join(folder, only.name);
  const aside = `${folder}.top`;
  await rename(top, aside);
  await rmdir(folder);
  await rename(aside, folder);
}

function toArchiveError(error: unknown): unknown {
  if (error instanceof SlipwayError) return error;
  if (isStorageFull(error)) return new SlipwayError('STORAGE_FULL', 'The disk is full; nothing was kept of the upload.', { cause: error });
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR') {
    return new SlipwayError('INVALID_ARCHIVE', 'The archive ends too early.', { cause: error });
  }
  if (code.startsWith('E') && 'syscall' in (error as object)) return error;
  return new SlipwayError('INVALID_ARCHIVE', `The archive is damaged: ${messageOf(error).replace(/\.$/, '')}.`, { cause: error });
}

/**
 * Unpacks a tar, tar.gz, tar.zst, zip, slip or slip.zst archive into a new folder. On any error nothing is left of it.
 * @throws SlipwayError INVALID_ARCHIVE, DIGEST_MISMATCH, ARCHIVE_TOO_LARGE, BODY_TOO_LARGE, STORAGE_FULL
 */
export async function unpackArchive(source: AsyncIterable<Uint8Array>, folder: string, limits: UnpackLimits): Promise<Unpacked> {
  await mkdir(folder, { recursive: true });
  const writer = createEntryWriter(folder, limits);
  try {
    await unpackAny(source, folder, limits, writer);
    if (writer.unpacked.files === 0) throw new SlipwayError('INVALID_ARCHIVE', 'The archive holds no files.');
    await stripTopFolder(folder);
    return writer.unpacked;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw toArchiveError(error);
  }
}

/** Stores a body as the one file of a new folder. @throws SlipwayError BODY_TOO_LARGE, STORAGE_FULL */
export async function storeSingleFile(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  name: string,
  { maxBytes }: { readonly maxBytes: number },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    await pipeline(source, createByteBudget(maxBytes).pass(), createWriteStream(join(folder, name), { flags: 'wx', mode: 0o644 }));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw toArchiveError(error);
  }
}
