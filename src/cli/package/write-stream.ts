import type { Readable } from 'node:stream';
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
