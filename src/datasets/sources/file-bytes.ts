import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

const CHUNK_BYTES = 1024 * 1024;

async function startsWith(path: string, ...magic: readonly number[]): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(magic.length), 0, magic.length, 0);
    return bytesRead === magic.length && magic.every((byte, index) => buffer[index] === byte);
  } finally {
    await file.close();
  }
}

/** The content of a file, unpacked if it is gzipped. */
export async function readContent(path: string): Promise<Readable> {
  const bytes = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (!(await startsWith(path, 0x1f, 0x8b))) return bytes;
  const content = createGunzip({ chunkSize: CHUNK_BYTES });
  pipeline(bytes, content, () => {}); // whoever reads the content meets the same error
  return content;
}

/** The first bytes of a content, fewer when it is shorter; the rest is not read. */
export async function headOf(content: AsyncIterable<Buffer>, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of content) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= count) break;
  }
  return Buffer.concat(chunks).subarray(0, count);
}

/** The first bytes of the content of a file. */
export async function readHead(path: string, count: number): Promise<Buffer> {
  return headOf(await readContent(path), count);
}
