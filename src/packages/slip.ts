import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { checkSchema, findingText } from '../errors/check-schema.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { EntryWriter } from './entry-writer.ts';
import { sha256Of } from './file-digest.ts';
import { sha256Schema } from './manifest.ts';
import type { ArchiveFile, ArchiveFiles } from './pack.ts';

/**
 * The first bytes of a `.slip`, with the version of the format. Then come the length of the list of files in bytes
 * (unsigned, 32 bits, little-endian), the SHA-256 of the list (32 bytes), the list as JSON, and the contents of the files
 * in its order with nothing between them. So there is no byte that no check covers.
 */
export const SLIP_MAGIC = 'SLIPPKG1';
const HEADER_BYTES = SLIP_MAGIC.length + 4 + 32;
/** A list of ten thousand files with long names; one that is larger is something else. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

const listSchema = z.strictObject({
  files: z.array(z.strictObject({ name: z.string(), bytes: z.int().min(0), sha256: sha256Schema })),
});

type List = z.infer<typeof listSchema>;

async function listed(name: string, file: ArchiveFile): Promise<List['files'][number]> {
  if ('path' in file) return { name, bytes: (await stat(file.path)).size, sha256: await sha256Of(file.path) };
  return { name, bytes: Buffer.byteLength(file.content), sha256: createHash('sha256').update(file.content).digest('hex') };
}

async function* slipChunks(files: ArchiveFiles): AsyncGenerator<Buffer> {
  const sorted = [...files].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const list: List = { files: [] };
  for (const [name, file] of sorted) list.files.push(await listed(name, file));
  const json = Buffer.from(JSON.stringify(list));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  yield Buffer.concat([Buffer.from(SLIP_MAGIC), length, createHash('sha256').update(json).digest(), json]);
  for (const [, file] of sorted) {
    if ('path' in file) yield* createReadStream(file.path);
    else yield typeof file.content === 'string' ? Buffer.from(file.content) : file.content;
  }
}

/** Files as a `.slip`, which is verified whole when it is read. The same files give the same bytes. */
export function packSlip(files: ArchiveFiles): Readable {
  return Readable.from(slipChunks(files), { objectMode: false });
}

function damaged(problem: string): SlipwayError {
  return new SlipwayError('INVALID_ARCHIVE', `The package ${problem}.`);
}

/** Takes bytes off the front of a stream. */
interface Front {
  /** The next bytes in chunks. @throws SlipwayError INVALID_ARCHIVE when there are not so many. */
  chunks(bytes: number, what: string): AsyncGenerator<Buffer>;
  atEnd(): Promise<boolean>;
}

function createFront(source: AsyncIterator<Buffer>): Front {
  let rest: Buffer = Buffer.alloc(0);
  async function fill(): Promise<boolean> {
    while (rest.length === 0) {
      const next = await source.next();
      if (next.done === true) return false;
      rest = next.value;
    }
    return true;
  }
  return {
    async *chunks(bytes, what) {
      for (let left = bytes; left > 0;) {
        if (!(await fill())) throw damaged(`ends in the middle of ${what}`);
        const chunk = rest.subarray(0, left);
        rest = rest.subarray(chunk.length);
        left -= chunk.length;
        yield chunk;
      }
    },
    async atEnd() {
      return !(await fill());
    },
  };
}

async function take(front: Front, bytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of front.chunks(bytes, what)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function readList(front: Front): Promise<List> {
  const header = await take(front, HEADER_BYTES, 'its header');
  const length = header.readUInt32LE(SLIP_MAGIC.length);
  if (length > MAX_LIST_BYTES) throw damaged(`states a list of files of ${length} bytes; at most ${MAX_LIST_BYTES} are taken`);
  const json = await take(front, length, 'its list of files');
  if (
    !createHash('sha256')
      .update(json)
      .digest()
      .equals(header.subarray(SLIP_MAGIC.length + 4))
  ) {
    throw new SlipwayError('DIGEST_MISMATCH', 'The list of files of the package does not have the SHA-256 that its header states.');
  }
  let value: unknown;
  try {
    value = JSON.parse(json.toString());
  } catch (error) {
    throw damaged(`has a list of files that is not valid JSON: ${messageOf(error)}`);
  }
  const checked = checkSchema(listSchema, value);
  if ('data' in checked) return checked.data;
  throw new SlipwayError('INVALID_ARCHIVE', `The list of files of the package: ${findingText(checked.findings[0])}.`, {
    details: checked.findings,
  });
}

/**
 * Reads the files of a `.slip`. What was written counts only when this returns: each file is verified after its last byte.
 * @throws SlipwayError INVALID_ARCHIVE, DIGEST_MISMATCH with the name of the file, ARCHIVE_TOO_LARGE
 */
export async function readSlip(source: Readable, writer: EntryWriter): Promise<void> {
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const front = createFront(iterator);
  try {
    for (const { name, bytes, sha256 } of (await readList(front)).files) {
      const hash = createHash('sha256');
      async function* hashed(): AsyncGenerator<Buffer> {
        for await (const chunk of front.chunks(bytes, name)) {
          hash.update(chunk);
          yield chunk;
        }
      }
      await writer.write(name, Readable.from(hashed(), { objectMode: false }), bytes);
      const found = hash.digest('hex');
      if (found !== sha256) throw new SlipwayError('DIGEST_MISMATCH', `${name} has the SHA-256 ${found}; the package states ${sha256}.`);
    }
    if (!(await front.atEnd())) throw damaged('goes on after its last file');
  } finally {
    await iterator.return?.();
  }
}
