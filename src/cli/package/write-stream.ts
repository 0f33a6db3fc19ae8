import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { COMPRESSED_ENDING, decompressor } from '../../packages/compression.ts';
import { replaceFile } from '../../packages/replace-file.ts';

/** Writes a file that takes the place of an earlier one only when it is whole. @throws SlipwayError STORAGE_FULL */
export async function writeStream(content: Readable, path: string): Promise<void> {
  await replaceFile({
    path,
    draft: `${path}.${process.pid}.tmp`,
    write: (file) => file.writeFile(content),
    whenFull: `The disk is full; ${path} was not written.`,
  });
}

/** How large a file is, in words; of a compressed one also how much smaller that is. */
export async function sizeText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (!path.endsWith(COMPRESSED_ENDING)) return `${size} bytes`;
  let whole = 0;
  await pipeline(createReadStream(path), decompressor(), async (chunks: AsyncIterable<Buffer>) => {
    for await (const { length } of chunks) whole += length;
  });
  return `${size} bytes (${whole} uncompressed, ${(whole / size).toFixed(2)} times as many)`;
}
