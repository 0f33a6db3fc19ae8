import { createWriteStream } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import type { SourceFile } from '../../datasets/source.ts';
import { isStorageFull } from '../../errors/has-code.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { type ByteBudget, createByteBudget } from '../../packages/limit-bytes.ts';

/** A form (RFC 7578) whose files were written to disk. */
export interface UploadedForm {
  readonly fields: Readonly<Record<string, string>>;
  readonly files: readonly SourceFile[];
}

export interface FormLimits {
  /** Of all files together. */
  readonly maxBytes: number;
  readonly maxFiles: number;
}

const MAX_FIELDS = 32;
const MAX_FIELD_BYTES = 256 * 1024;

/** Stores a body, or a part of one. @throws SlipwayError BODY_TOO_LARGE, STORAGE_FULL */
export async function storeFile(content: Readable, path: string, budget: ByteBudget): Promise<void> {
  try {
    await pipeline(content, budget.pass(), createWriteStream(path, { flags: 'wx', mode: 0o644 }));
  } catch (error) {
    if (isStorageFull(error)) {
      throw new SlipwayError('STORAGE_FULL', 'The disk is full; nothing was kept of the upload.', { cause: error });
    }
    throw error;
  }
}

/**
 * Reads a form and writes its files into a folder, under numbers: their names are not to be trusted with paths.
 * @throws SlipwayError INVALID_REQUEST, BODY_TOO_LARGE, STORAGE_FULL, REQUEST_CANCELLED
 */
export async function readForm(
  body: Readable,
  headers: IncomingHttpHeaders,
  folder: string,
  { maxBytes, maxFiles }: FormLimits,
): Promise<UploadedForm> {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  const files: SourceFile[] = [];
  const contents: Readable[] = [];
  const stored: Promise<void>[] = [];
  const budget = createByteBudget(maxBytes);
  let problem: SlipwayError | undefined;
  const refuse = (path: string, message: string): void => {
    problem ??= new SlipwayError('INVALID_REQUEST', `${path}: ${message}.`, { details: [{ path, message }] });
  };

  let form: BusboyInstance;
  try {
    form = new Busboy({
      headers: headers as BusboyHeaders,
      preservePath: true,
      limits: { fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, files: maxFiles },
    });
  } catch (error) {
    throw new SlipwayError('INVALID_REQUEST', `The form cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  form.on('field', (name, value, _nameCut, valueCut) => {
    if (valueCut) refuse(name, `has more than ${MAX_FIELD_BYTES} bytes`);
    else if (Object.hasOwn(fields, name)) refuse(name, 'is there twice');
    else fields[name] = value;
  });
  form.on('file', (field, content, name) => {
    if (field !== 'file') {
      refuse(field, 'is a file; files are sent as "file"');
      content.resume();
      return;
    }
    const path = join(folder, String(files.length));
    files.push({ path, name: name === undefined || name === '' ? 'file' : name });
    contents.push(content);
    const storing = storeFile(content, path, budget);
    // The form must not go on with a file that nobody takes.
    storing.catch((error: unknown) => form.destroy(error as Error));
    stored.push(storing);
  });
  form.on('fieldsLimit', () => refuse('', `the form has more than ${MAX_FIELDS} fields`));
  form.on('filesLimit', () => refuse('file', `there are more than ${maxFiles} files`));
  try {
    await pipeline(body, form);
    await Promise.all(stored);
  } catch (error) {
    // A file of a form that broke off never ends by itself.
    for (const content of contents) content.destroy();
    await Promise.allSettled(stored);
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError('INVALID_REQUEST', `The form cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  if (problem !== undefined) throw problem;
  return { fields, files };
}
