import { realpath } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { SourceFile } from '../../datasets/source.ts';
import type { UploadStore } from '../../datasets/uploads.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { createByteBudget } from '../../packages/limit-bytes.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import type { RouteContext } from '../http/route.ts';
import { type FormLimits, readForm, storeFile } from './dataset-form.ts';
import { type DatasetFields, datasetFields, datasetOrder, type DatasetQuery } from './dataset-schemas.ts';

/** The files of a dataset that is to be, and what is said of it. */
export interface Intake {
  readonly fields: DatasetFields;
  readonly files: readonly SourceFile[];
  /** To be called once the dataset is there. */
  finish(): Promise<void>;
}

export interface IntakeOptions extends FormLimits {
  readonly uploads: UploadStore;
  /** Folder from which datasets may be made by a path; undefined to allow none. */
  readonly folder: string | undefined;
  /** Throws when the name is taken, which is better known before a large body is read. */
  readonly checkName: (name: string) => void;
}

const ORDER_BYTES = 1024 * 1024;

function refused(path: string, message: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path}: ${message}.`, { details: [{ path, message }] });
}

/** Nothing may be said of the dataset in two places. */
function merge(query: DatasetFields, body: DatasetFields): DatasetFields {
  const twice = Object.keys(body).find((field) => Object.hasOwn(query, field));
  if (twice !== undefined) throw refused(twice, 'is said twice, in the query and in the body');
  return { ...query, ...body };
}

/**
 * A file or folder by its path in the folder of the setting.
 * @throws SlipwayError INVALID_REQUEST, also for one that a link leads out to.
 */
async function fileByPath(path: string, folder: string | undefined): Promise<SourceFile> {
  if (folder === undefined) throw refused('path', 'reading from the server’s own disk is off; the setting datasets.folder turns it on');
  try {
    const root = await realpath(folder);
    const found = await realpath(resolve(root, path));
    if (found.startsWith(root + sep)) return { path: found, name: basename(found) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw refused('path', `there is no ${JSON.stringify(path)} in the folder of datasets`);
    throw error;
  }
  throw refused('path', `${JSON.stringify(path)} lies outside of the folder of datasets`);
}

/** A JSON body that names the data: by a path, or by uploads that have come before. */
async function takeOrder(stream: Readable, said: DatasetFields, { uploads, folder }: IntakeOptions): Promise<Intake> {
  const body = await buffer(stream.compose(createByteBudget(ORDER_BYTES).pass()));
  const { path, uploads: ids, ...fields } = checkInput(datasetOrder, toPlain(parseJson(body)), '');
  if ((path === undefined) === (ids === undefined))
    throw refused(path === undefined ? 'uploads' : 'path', 'either a path or uploads must be named');
  const files = path === undefined ? await uploads.filesOf(ids!) : [await fileByPath(path, folder)];
  return {
    fields: merge(said, fields),
    files,
    async finish() {
      for (const id of ids ?? []) await uploads.remove(id);
    },
  };
}

const FINISHED = async (): Promise<void> => {};

/**
 * Takes what a request brings, in whichever way it does.
 * @param incoming folder for files.
 * @throws SlipwayError INVALID_REQUEST, BODY_TOO_LARGE, STORAGE_FULL, UPLOAD_NOT_FOUND, UPLOAD_CONFLICT, REQUEST_CANCELLED
 */
export async function takeIn(context: RouteContext<unknown, DatasetQuery>, incoming: string, options: IntakeOptions): Promise<Intake> {
  const { query, stream, headers, mediaType } = context;
  const { file, ...said } = query;
  if (said.name !== undefined) options.checkName(said.name);
  if (mediaType === 'application/json') return takeOrder(stream, said, options);
  if (mediaType === 'multipart/form-data') {
    const { fields, files } = await readForm(stream, headers, incoming, options);
    if (files.length === 0) throw refused('file', 'is missing; send one as "file" (curl: -F file=@wine.csv)');
    return { fields: merge(said, checkInput(datasetFields, { ...fields }, '')), files, finish: FINISHED };
  }
  const path = join(incoming, '0');
  await storeFile(stream, path, createByteBudget(options.maxBytes));
  return { fields: said, files: [{ path, name: file ?? '' }], finish: FINISHED };
}
