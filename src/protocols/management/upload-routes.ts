import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { storeSingleFile, unpackArchive } from '../../packages/unpack.ts';
import type { Registry } from '../../registry/types.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { modelParams, versionText } from '../http/path-params.ts';
import { VERSION_EXAMPLE } from './examples.ts';
import { encodeVersion, versionAnswer } from './schemas.ts';

export interface UploadRouteOptions {
  readonly registry: Registry;
  /** Folder of uploads under way; on the file system of the model repository, so that publishing is one rename. */
  readonly incomingFolder: string;
  readonly maxUploadBytes: number;
  readonly maxUnpackedBytes: number;
  readonly maxPackageFiles: number;
}

const uploadQuery = z.strictObject({
  version: versionText.optional().describe('Version number; the next free one when left out.'),
});

const ONNX_TYPES = ['application/onnx', 'application/x-onnx'];

/** `POST /models/{name}/versions`: a streamed upload that becomes visible only once it was checked. */
export function createUploadRoutes(options: UploadRouteOptions): RouteDefinition[] {
  const { registry, incomingFolder, maxUploadBytes, maxUnpackedBytes, maxPackageFiles } = options;
  const archive = { description: 'The files of the version folder, at the top of the archive or inside one folder.' };

  return [
    defineRoute<z.infer<typeof modelParams>, z.infer<typeof uploadQuery>>({
      method: 'POST',
      path: '/models/{name}/versions',
      operationId: 'uploadVersion',
      tag: 'models',
      summary: 'Upload a version of a model.',
      description:
        'The body is streamed to disk, unpacked under the limits, checked and loaded. Only a version that loads, and is signed where `packages.requireSignedBy` asks for it, is published; otherwise nothing is kept and the answer says why.',
      params: modelParams,
      query: uploadQuery,
      body: {
        kind: 'stream',
        required: true,
        maxBytes: maxUploadBytes,
        content: {
          'application/gzip': archive,
          'application/x-tar': archive,
          'application/zip': { description: `${archive.description} Or a .keras file, as Keras 3 saves it.` },
          'application/octet-stream': { description: 'An archive, known by its first bytes.' },
          'application/onnx': { description: 'A bare ONNX model.' },
          'application/x-onnx': { description: 'A bare ONNX model.' },
          'application/x-gzip': archive,
          'application/x-tgz': archive,
        },
      },
      responses: {
        201: {
          description: 'The version is published.',
          schema: versionAnswer,
          example: VERSION_EXAMPLE,
          headers: { location: 'Address of the version.' },
        },
      },
      errors: [400, 403, 409, 413, 415, 499, 500, 501, 503],
      async handle({ params, query, stream, mediaType }) {
        const folder = join(incomingFolder, randomUUID());
        await mkdir(incomingFolder, { recursive: true });
        try {
          if (ONNX_TYPES.includes(mediaType)) {
            await storeSingleFile(stream, folder, 'model.onnx', { maxBytes: maxUploadBytes });
          } else {
            await unpackArchive(stream, folder, { maxUnpackedBytes, maxFiles: maxPackageFiles, maxCompressedBytes: maxUploadBytes });
          }
          const published = await registry.publish(params.name, query.version, folder);
          return json(201, encodeVersion(published), { location: `/models/${params.name}/versions/${published.version}` });
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      },
    }),
  ];
}
