import { z } from 'zod';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import { nameSchema } from '../../packages/manifest.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { datasetAnswer, datasetList, encodeSummary } from './dataset-schemas.ts';
import { DATASET_EXAMPLE, DATASETS_EXAMPLE } from './examples.ts';

const datasetParams = z.object({ dataset: nameSchema.meta({ description: 'Name or id of the dataset.', example: 'wine' }) });
type DatasetParams = z.infer<typeof datasetParams>;

/** What datasets there are, and their end. */
export function createDatasetRoutes(catalog: DatasetCatalog): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/datasets',
      operationId: 'listDatasets',
      tag: 'datasets',
      summary: 'List the datasets.',
      responses: { 200: { description: 'All datasets, by name, and those on their way.', schema: datasetList, example: DATASETS_EXAMPLE } },
      errors: [500],
      handle: async () => json(200, { datasets: catalog.list().map(encodeSummary), coming: catalog.coming() }),
    }),
    defineRoute<DatasetParams>({
      method: 'GET',
      path: '/datasets/{dataset}',
      operationId: 'describeDataset',
      tag: 'datasets',
      summary: 'Describe a dataset: its columns, rows, digest, class balance and first rows.',
      params: datasetParams,
      responses: { 200: { description: 'The dataset.', schema: datasetAnswer, example: DATASET_EXAMPLE } },
      errors: [400, 404, 500],
      handle: async ({ params }) => json(200, catalog.describe(params.dataset)),
    }),
    defineRoute<DatasetParams>({
      method: 'DELETE',
      path: '/datasets/{dataset}',
      operationId: 'deleteDataset',
      tag: 'datasets',
      summary: 'Delete a dataset.',
      params: datasetParams,
      responses: { 204: { description: 'The dataset is gone.' } },
      errors: [400, 404, 500],
      handle: async ({ params }) => {
        await catalog.remove(params.dataset);
        return { status: 204 };
      },
    }),
  ];
}
