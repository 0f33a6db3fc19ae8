import { z } from 'zod';
import type { CompiledModels } from '../../compilation/compiled-models.ts';
import { onnxPackage } from '../../compilation/onnx-package.ts';
import { compressed } from '../../packages/compression.ts';
import { filesOf, packFiles, packVersion } from '../../packages/pack.ts';
import { safetensorsPackage } from '../../packages/safetensors/export.ts';
import { packSlip } from '../../packages/slip.ts';
import type { TrustedKeys } from '../../packages/signature.ts';
import type { Registry } from '../../registry/types.ts';
import { versionParams } from '../http/path-params.ts';
import { defineRoute, type RouteDefinition } from '../http/route.ts';

const packageQuery = z.strictObject({
  format: z.enum(['onnx', 'safetensors', 'slip', 'slip.zst']).optional().meta({
    description:
      '`onnx`: have the model as ONNX; a layers model is compiled. `safetensors`: have the weights of a TF.js layers model as model.safetensors, with the layers beside them as model.json. `slip`: one file in which the SHA-256 of each file is verified when it is uploaded. `slip.zst`: the same, compressed with Zstandard.',
    example: 'slip',
  }),
});

type PackageQuery = z.infer<typeof packageQuery>;

/** Versions as archives. */
export function createPackageRoutes(
  registry: Registry,
  models: CompiledModels,
  trusted: TrustedKeys | undefined,
  compressionLevel: number,
): RouteDefinition[] {
  return [
    defineRoute<z.infer<typeof versionParams>, PackageQuery>({
      method: 'GET',
      path: '/models/{name}/versions/{version}/package',
      operationId: 'downloadPackage',
      tag: 'models',
      summary: 'Download a version as one archive.',
      description:
        'An archive that can be uploaded again, a gzipped tar where nothing else is asked for. The same files always give the same bytes. With `format=onnx` it holds model.onnx (and model.onnx.data when that is over 2 GiB) in place of a TF.js layers model; COMPILE_FAILED says which layer stands in the way. With `format=safetensors` it holds model.safetensors and model.json, and the numbers are the same to the bit. With `format=slip` it is one file with the SHA-256 of each file in it; an upload in which a byte has changed is refused with the name of the file. `format=slip.zst` is that file compressed with Zstandard at the level of the setting `packages.compressionLevel`.',
      params: versionParams,
      query: packageQuery,
      responses: { 200: { description: 'The archive.', contentType: ['application/gzip', 'application/octet-stream'] } },
      errors: [400, 403, 404, 500, 501],
      async handle({ params: { name, version }, query: { format } }) {
        const folder = registry.folderOf(name, version);
        if (format === 'slip' || format === 'slip.zst') {
          const slip = packSlip(await filesOf(folder));
          return {
            status: 200,
            contentType: 'application/octet-stream',
            headers: { 'content-disposition': `attachment; filename="${name}-${version}.${format}"` },
            payload: format === 'slip' ? slip : compressed(slip, compressionLevel),
          };
        }
        const converted = { onnx: () => onnxPackage(folder, models, trusted), safetensors: () => safetensorsPackage(folder, trusted) };
        const payload = format === undefined ? packVersion(folder) : packFiles(await converted[format]());
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
