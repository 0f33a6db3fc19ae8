import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { digestOf } from '../../datasets/ingest/digest.ts';
import type { SourceFile } from '../../datasets/source.ts';
import { expandFolders } from '../../datasets/sources/expand-folders.ts';

/** What is sent to `POST /datasets`. */
export interface DatasetContent {
  /** As the dataset that is made of it has it. */
  readonly digest: string;
  readonly bytes: number;
  readonly contentType: string;
  /** Of a bare file, for the query: its name says its format. */
  readonly file: string | undefined;
  open(): Readable;
}

const BOUNDARY = 'slipway-dataset-4f0c2b7ad1e9';
const END = `--${BOUNDARY}--\r\n`;

/** A file's part of a form (RFC 7578); names are escaped as HTML's forms do it. */
function headOf({ name }: SourceFile): string {
  const escaped = name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${escaped}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
}

async function* formOf(files: readonly SourceFile[]): AsyncIterable<Buffer> {
  for (const file of files) {
    yield Buffer.from(headOf(file));
    for await (const chunk of createReadStream(file.path)) yield chunk as Buffer;
    yield Buffer.from('\r\n');
  }
  yield Buffer.from(END);
}

/** A file as it is; of a folder the files in it as a form, with their paths. */
export async function contentOf(path: string): Promise<DatasetContent> {
  const status = await stat(path);
  if (status.isFile()) {
    const name = basename(path);
    const digest = await digestOf([{ path, name }]);
    return { digest, bytes: status.size, contentType: 'application/octet-stream', file: name, open: () => createReadStream(path) };
  }
  const files = await expandFolders([{ path, name: basename(path) }], Infinity);
  if (files.length === 0) throw new Error(`there is no file in ${path}`);
  let bytes = Buffer.byteLength(END);
  for (const file of files) bytes += Buffer.byteLength(headOf(file)) + (await stat(file.path)).size + 2;
  return {
    digest: await digestOf(files),
    bytes,
    contentType: `multipart/form-data; boundary=${BOUNDARY}`,
    file: undefined,
    open: () => Readable.from(formOf(files), { objectMode: false }),
  };
}
