import { join } from 'node:path';
import { z } from 'zod';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { SourceFile } from '../../datasets/source.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { createByteBudget } from '../../packages/limit-bytes.ts';
import { checkInput } from '../http/check-input.ts';
import { defineRoute, json, type RouteContext, type RouteDefinition } from '../http/route.ts';
import { type FormLimits, readForm, storeFile } from './dataset-form.ts';
import { datasetAnswer, type DatasetFields, datasetFields } from './dataset-schemas.ts';
import { DATASET_EXAMPLE } from './examples.ts';

export interface DatasetUploadOptions extends FormLimits {
  readonly catalog: DatasetCatalog;
  /** Most that `maxSkipped` may be. */
  readonly maxSkippedRows: number;
}

const FORM_TYPE = 'multipart/form-data';

const uploadQuery = datasetFields.extend({
  file: z.string().min(1).max(255).optional().describe('Name of the file, when the body is the bare file.'),
});
type UploadQuery = z.infer<typeof uploadQuery>;

const formBody = datasetFields.extend({ file: z.string().meta({ format: 'binary', description: 'The file. There may be several.' }) });

/** A name for a dataset from that of its file: `wine.csv.gz` is `wine`. */
function nameFrom(file: string): string {
  const base = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  return base.replace(/(?<=.)\..*$/, '').replaceAll(/[^A-Za-z0-9._-]/g, '-');
}

interface Upload {
  readonly fields: DatasetFields;
  readonly files: readonly SourceFile[];
}

/** What is said of the dataset in the query and in the form; nothing may be said in both. */
function mergeFields(query: DatasetFields, form: DatasetFields): DatasetFields {
  for (const field of Object.keys(form)) {
    if (!Object.hasOwn(query, field)) continue;
    throw new SlipwayError('INVALID_REQUEST', `${field}: is both in the query and in the form.`, {
      details: [{ path: field, message: 'is said twice' }],
    });
  }
  return { ...query, ...form };
}

/** `POST /datasets`: the data is streamed to disk and read as a whole before the dataset becomes visible. */
export function createDatasetUploadRoutes({ catalog, maxSkippedRows, ...limits }: DatasetUploadOptions): RouteDefinition[] {
  async function receive({ query, stream, headers, mediaType }: RouteContext<unknown, UploadQuery>, folder: string): Promise<Upload> {
    const { file = `data.${query.format ?? ''}`, ...said } = query;
    if (mediaType === FORM_TYPE) {
      const { fields, files } = await readForm(stream, headers, folder, limits);
      if (files.length === 0) {
        throw new SlipwayError('INVALID_REQUEST', 'The form has no file; send one as "file" (curl: -F file=@wine.csv).', {
          details: [{ path: 'file', message: 'is missing' }],
        });
      }
      return { fields: mergeFields(said, checkInput(datasetFields, { ...fields }, '')), files };
    }
    // A name that is taken is better known before a large body is read.
    if (said.name !== undefined) catalog.checkName(said.name);
    const path = join(folder, '0');
    await storeFile(stream, path, createByteBudget(limits.maxBytes));
    return { fields: said, files: [{ path, name: file }] };
  }

  function nameOf({ fields, files }: Upload, query: UploadQuery): string {
    if (fields.name !== undefined) return fields.name;
    const fromFile = query.file ?? files[0]!.name;
    const name = nameFrom(fromFile);
    if (fromFile.startsWith('data.') || !datasetFields.shape.name.safeParse(name).success) {
      throw new SlipwayError('INVALID_REQUEST', 'The dataset needs a name: add ?name=… to the address, or a field "name" to the form.', {
        details: [{ path: 'name', message: 'is missing' }],
      });
    }
    return name;
  }

  return [
    defineRoute<unknown, UploadQuery>({
      method: 'POST',
      path: '/datasets',
      operationId: 'createDataset',
      tag: 'datasets',
      summary: 'Upload a dataset.',
      description:
        'CSV, JSON Lines, npy, npz, Parquet, MNIST’s IDX, or images in folders by class, in an archive or as the files of a form. The data is streamed to disk and read as a whole, in a process of its own; only data that can be read is kept. Types of columns are found and can be given.',
      query: uploadQuery,
      body: {
        kind: 'stream',
        required: true,
        maxBytes: limits.maxBytes,
        content: {
          [FORM_TYPE]: { schema: formBody, example: { name: 'wine', file: 'alcohol,cultivar\n12.3,barolo\n' } },
          'application/octet-stream': { description: 'The bare file.' },
          'text/csv': { description: 'The bare file.' },
          'application/jsonl': { description: 'The bare file.' },
          'application/x-ndjson': { description: 'The bare file.' },
          'application/vnd.apache.parquet': { description: 'The bare file.' },
          'application/gzip': { description: 'The bare file, gzipped.' },
          'application/zip': { description: 'Images in folders by class, or arrays of NumPy.' },
          'application/x-tar': { description: 'Images in folders by class.' },
        },
      },
      responses: {
        201: {
          description: 'The dataset is there.',
          schema: datasetAnswer,
          example: DATASET_EXAMPLE,
          headers: { location: 'Address of the dataset.' },
        },
      },
      errors: [400, 409, 413, 415, 499, 500, 503],
      handle: (context) =>
        catalog.withIncoming(async (folder) => {
          const { signal } = context;
          const upload = await receive(context, folder);
          const { name: _name, ...options } = upload.fields;
          if ((options.maxSkipped ?? 0) > maxSkippedRows) {
            throw new SlipwayError('INVALID_REQUEST', `maxSkipped: must be at most ${maxSkippedRows}.`, {
              details: [{ path: 'maxSkipped', message: `must be at most ${maxSkippedRows}` }],
            });
          }
          const description = await catalog.create({ name: nameOf(upload, context.query), files: upload.files, options, signal });
          return json(201, description, { location: `/datasets/${description.id}` });
        }),
    }),
  ];
}
