import { readFile, stat } from 'node:fs/promises';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { openZip } from '../../packages/zip.ts';
import type { SourceFile } from '../source.ts';
import { readContent } from './file-bytes.ts';

/** A file among others, wherever it lies. */
export interface NamedFile {
  /** Its path, with `/`. */
  readonly name: string;
  /** What it holds; undefined when it is larger than what is read. */
  readonly content: Buffer | undefined;
}

/** What ends like this should be an image; everything else is left aside. */
const IMAGE_ENDING = /\.(png|jpe?g|jpe|jfif|webp|gif|tiff?|bmp)$/i;

export function isImageName(name: string): boolean {
  const file = name.slice(name.lastIndexOf('/') + 1);
  return IMAGE_ENDING.test(file) && !file.startsWith('.') && !name.startsWith('__MACOSX/');
}

/** Image files that lie side by side. */
async function* filesOnDisk(files: readonly SourceFile[], maxBytes: number): AsyncGenerator<NamedFile> {
  for (const { path, name } of files) {
    if (!isImageName(name)) continue;
    yield { name, content: (await stat(path)).size > maxBytes ? undefined : await readFile(path) };
  }
}

async function collect(content: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks, bytes);
}

async function* filesInZip(path: string, maxBytes: number): AsyncGenerator<NamedFile> {
  const zip = await openZip(path);
  try {
    for await (const { name, bytes, open } of zip.entries()) {
      if (isImageName(name)) yield { name, content: bytes > maxBytes ? undefined : await collect(await open(), maxBytes) };
    }
  } finally {
    zip.close();
  }
}

async function* filesInTar(path: string, maxBytes: number): AsyncGenerator<NamedFile> {
  const archive = extract();
  // An archive that ends in the middle of a file says so here; the file itself would be waited for without end.
  const reading = pipeline(await readContent(path), archive);
  const broken = reading.then(() => new Promise<never>(() => {}));
  broken.catch(() => {});
  try {
    for await (const entry of archive) {
      const { name, type } = entry.header;
      const content = entry as unknown as Readable;
      if (type !== 'file' || !isImageName(name)) content.resume();
      else yield { name: name.replace(/^\.\//, ''), content: await Promise.race([collect(content, maxBytes), broken]) };
    }
    await reading;
  } finally {
    archive.destroy();
  }
}

function damaged(file: SourceFile, error: unknown): unknown {
  if (error instanceof SlipwayError) return error;
  return new SlipwayError('INVALID_ARCHIVE', `${file.name} is damaged: ${messageOf(error).replace(/\.$/, '')}.`, { cause: error });
}

/** Where images are: files side by side, or one archive. */
export type ImagePlace = 'files' | 'zip' | 'tar';

/** Every file that should be an image, in the order in which they lie there. */
export async function* readImageFiles(files: readonly SourceFile[], place: ImagePlace, maxBytes: number): AsyncGenerator<NamedFile> {
  const [first] = files as [SourceFile];
  if (place === 'files') {
    yield* filesOnDisk(files, maxBytes);
    return;
  }
  try {
    yield* place === 'zip' ? filesInZip(first.path, maxBytes) : filesInTar(first.path, maxBytes);
  } catch (error) {
    throw damaged(first, error);
  }
}
