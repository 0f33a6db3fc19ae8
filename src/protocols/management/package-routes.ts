import { z } from 'zod';
import type { CompiledModels } from '../../compilation/compiled-models.ts';
import { onnxPackage } from '../../compilation/onnx-package.ts';
import { packFiles, packVersion } from '../../packages/pack.ts';
import type { Registry } from '../../registry/types.ts';
import { versionParams } from '../http/path-params.ts';
import { defineRoute, type RouteDefinition } from '../http/route.ts';

const packageQuery = z.strictObject({
  format: z.enum(['onnx']).optional().meta({ description: 'Have the model as ONNX: a TF.js layers model is compiled.', example: 'onnx' }),
});

type PackageQuery = z.infer<typeof packageQuery>;

/** Versions as archives. */
export function createPackageRoutes(registry: Registry, models: CompiledModels): RouteDefinition[] {
  return [
    defineRoute<z.infer<typeof versionParams>, PackageQuery>({
      method: 'GET',
      path: '/models/{name}/versions/{version}/package',
      operationId: 'downloadPackage',
      tag: 'models',
      summary: 'Download a version as one archive.',
      description:
        'A gzipped tar that can be uploaded again. The same files always give the same bytes. With `format=onnx` it holds model.onnx (and model.onnx.data when that is over 2 GiB) in place of a TF.js layers model; COMPILE_FAILED says which layer stands in the way.',
      params: versionParams,
      query: packageQuery,
      responses: { 200: { description: 'The archive.', contentType: 'application/gzip' } },
      errors: [400, 404, 500, 501],
      async handle({ params: { name, version }, query: { format } }) {
        const folder = registry.folderOf(name, version);
        const payload = format === 'onnx' ? packFiles(await onnxPackage(folder, models)) : packVersion(folder);
        const suffix = format === undefined ? '' : `-${format}`;
        return {
          status: 200,
          contentType: 'application/gzip',
          headers: { 'content-disposition': `attachment; filename="${name}-${version}${suffix}.tar.gz"` },
          payload,
        };
      },
    }),
  ];
}
