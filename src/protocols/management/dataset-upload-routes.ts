import type { DatasetCatalog } from '../../datasets/catalog.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { nameSchema } from '../../packages/manifest.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { type Intake, type IntakeOptions, takeIn } from './dataset-intake.ts';
import { datasetAnswer, datasetForm, datasetOrder, datasetQuery, type DatasetQuery } from './dataset-schemas.ts';
import { DATASET_EXAMPLE } from './examples.ts';

export interface DatasetUploadOptions extends Omit<IntakeOptions, 'checkName'> {
  readonly catalog: DatasetCatalog;
  /** Most that `maxSkipped` may be. */
  readonly maxSkippedRows: number;
}

/** The name of a dataset; else it is that of its file: `wine.csv.gz` is `wine`. */
function nameOf({ fields, files }: Intake): string {
  if (fields.name !== undefined) return fields.name;
  const file = files[0]!.name;
  const base = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  const name = base.replace(/(?<=.)\..*$/, '').replaceAll(/[^A-Za-z0-9._-]/g, '-');
  if (nameSchema.safeParse(name).success) return name;
  throw new SlipwayError('INVALID_REQUEST', 'The dataset needs a name: add ?name=… to the address, or "name" to the form or body.', {
    details: [{ path: 'name', message: 'is missing' }],
  });
}

/** `POST /datasets`: the data is streamed to disk and read as a whole before the dataset becomes visible. */
export function createDatasetUploadRoutes({ catalog, maxSkippedRows, ...intake }: DatasetUploadOptions): RouteDefinition[] {
  const bareFile = { description: 'The bare file.' };
  return [
    defineRoute<unknown, DatasetQuery>({
      method: 'POST',
      path: '/datasets',
      operationId: 'createDataset',
      tag: 'datasets',
      summary: 'Make a dataset of data.',
      description:
        'CSV, JSON Lines, npy, npz, Parquet, MNIST’s IDX, or images in folders by class, in an archive or as the files of a form. The data comes as a form, as the bare body, by resumable uploads that came before, or by a path on the server’s disk where the settings allow it. It is read as a whole, in a process of its own; only data that can be read is kept. Types of columns are found and can be given.',
      query: datasetQuery,
      body: {
        kind: 'stream',
        required: true,
        maxBytes: intake.maxBytes,
        content: {
          'application/octet-stream': bareFile,
          'multipart/form-data': { schema: datasetForm, example: { name: 'wine', file: 'alcohol,cultivar\n12.3,barolo\n' } },
          'application/json': { schema: datasetOrder, example: { name: 'wine', uploads: ['0123456789abcdef0123456789abcdef'] } },
          'text/csv': bareFile,
          'text/tab-separated-values': bareFile,
          'text/plain': bareFile,
          'application/jsonl': bareFile,
          'application/x-ndjson': bareFile,
          'application/vnd.apache.parquet': bareFile,
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
      errors: [400, 404, 409, 413, 415, 499, 500, 503],
      handle: (context) =>
        catalog.withIncoming(async (incoming) => {
          const { signal } = context;
          const taken = await takeIn(context, incoming, { ...intake, checkName: catalog.checkName });
          const { name: _name, ...options } = taken.fields;
          if ((options.maxSkipped ?? 0) > maxSkippedRows) {
            throw new SlipwayError('INVALID_REQUEST', `maxSkipped: must be at most ${maxSkippedRows}.`, {
              details: [{ path: 'maxSkipped', message: `must be at most ${maxSkippedRows}` }],
            });
          }
          const description = await catalog.create({ name: nameOf(taken), files: taken.files, options, signal });
          await taken.finish();
          return json(201, description, { location: `/datasets/${description.id}` });
        }),
    }),
  ];
}
