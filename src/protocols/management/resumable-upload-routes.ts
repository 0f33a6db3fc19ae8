import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { Upload, UploadStore } from '../../datasets/uploads.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { defineRoute, type RouteAnswer, type RouteDefinition } from '../http/route.ts';

/*
 * Resumable uploads by the tus protocol, version 1.0.0, with its extensions creation, termination and expiration
 * (https://tus.io/protocols/resumable-upload), which many clients speak. A dataset is made of what has come by
 * `POST /datasets` with the ids of the uploads.
 */

const VERSION = '1.0.0';
const PATH = '/dataset-uploads';
const CONTENT_TYPE = 'application/offset+octet-stream';

const uploadParams = z.object({
  upload: z.string().max(64).meta({ description: 'Id of the upload.', example: '0123456789abcdef0123456789abcdef' }),
});
type UploadParams = z.infer<typeof uploadParams>;

const TUS_HEADERS = { 'tus-resumable': VERSION };

function invalid(header: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `The header ${header} ${problem}.`, { details: [{ path: header, message: problem }] });
}

function wholeNumber(headers: IncomingHttpHeaders, header: string): number {
  const text = headers[header];
  const value = typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (value === undefined) throw invalid(header, 'must be a whole number');
  return value;
}

/** `Upload-Metadata: filename d2luZS5jc3Y=,other …`: keys, each with its value in Base64. */
function fileNameOf(headers: IncomingHttpHeaders): string {
  const metadata = headers['upload-metadata'];
  if (typeof metadata !== 'string') return 'file';
  for (const pair of metadata.split(',')) {
    const [key, value = ''] = pair.trim().split(' ');
    if (key === 'filename' || key === 'name') return Buffer.from(value, 'base64').toString('utf8').slice(0, 255) || 'file';
  }
  return 'file';
}

function stateHeaders({ offset, length, expiresAt }: Upload): Record<string, string> {
  return {
    ...TUS_HEADERS,
    'upload-offset': String(offset),
    'upload-length': String(length),
    'upload-expires': new Date(expiresAt).toUTCString(),
    'cache-control': 'no-store',
  };
}

/** @param maxBytes largest file. */
export function createResumableUploadRoutes(uploads: UploadStore, maxBytes: number): RouteDefinition[] {
  const discovery: RouteAnswer = {
    status: 204,
    headers: {
      ...TUS_HEADERS,
      'tus-version': VERSION,
      'tus-extension': 'creation,termination,expiration',
      'tus-max-size': String(maxBytes),
    },
  };
  return [
    defineRoute({
      method: 'OPTIONS',
      path: PATH,
      operationId: 'describeResumableUploads',
      tag: 'datasets',
      summary: 'What resumable uploads can do.',
      responses: { 204: { description: 'In headers, as tus 1.0.0 says.' } },
      errors: [500],
      handle: async () => discovery,
    }),
    defineRoute({
      method: 'POST',
      path: PATH,
      operationId: 'createResumableUpload',
      tag: 'datasets',
      summary: 'Begin a resumable upload of a file.',
      description:
        'By the tus protocol 1.0.0. `Upload-Length` says how many bytes the file has, `Upload-Metadata` may say its name (`filename`). An upload survives a restart of the server, and is removed when nothing was added to it for `datasets.uploadExpiryMs`.',
      responses: { 201: { description: 'The upload waits for its first byte.', headers: { location: 'Address of the upload.' } } },
      errors: [400, 413, 500, 503],
      async handle({ headers }) {
        const upload = await uploads.create(fileNameOf(headers), wholeNumber(headers, 'upload-length'));
        return { status: 201, headers: { ...stateHeaders(upload), location: `${PATH}/${upload.id}` } };
      },
    }),
    defineRoute<UploadParams>({
      method: 'HEAD',
      path: `${PATH}/{upload}`,
      operationId: 'describeResumableUpload',
      tag: 'datasets',
      summary: 'How far a resumable upload is.',
      params: uploadParams,
      responses: { 200: { description: 'In the header `Upload-Offset`.' } },
      errors: [400, 404, 500],
      handle: async ({ params }) => ({ status: 200, headers: stateHeaders(await uploads.describe(params.upload)) }),
    }),
    defineRoute<UploadParams>({
      method: 'PATCH',
      path: `${PATH}/{upload}`,
      operationId: 'continueResumableUpload',
      tag: 'datasets',
      summary: 'Send the next bytes of a resumable upload.',
      description: '`Upload-Offset` says where they begin. What has come of a request that breaks off stays.',
      params: uploadParams,
      body: { kind: 'stream', maxBytes, content: { [CONTENT_TYPE]: { description: 'The bytes.' } } },
      responses: { 204: { description: 'They are there.', headers: { 'upload-offset': 'Bytes that are there now.' } } },
      errors: [400, 404, 409, 413, 415, 499, 500, 503],
      async handle({ params, headers, stream, mediaType }) {
        if (mediaType !== CONTENT_TYPE)
          throw new SlipwayError('UNSUPPORTED_MEDIA_TYPE', `The bytes of an upload are sent as ${CONTENT_TYPE}.`);
        const upload = await uploads.append(params.upload, wholeNumber(headers, 'upload-offset'), stream);
        return { status: 204, headers: stateHeaders(upload) };
      },
    }),
    defineRoute<UploadParams>({
      method: 'DELETE',
      path: `${PATH}/{upload}`,
      operationId: 'deleteResumableUpload',
      tag: 'datasets',
      summary: 'Give a resumable upload up.',
      params: uploadParams,
      responses: { 204: { description: 'The upload is gone.' } },
      errors: [400, 404, 500],
      async handle({ params }) {
        await uploads.remove(params.upload);
        return { status: 204, headers: TUS_HEADERS };
      },
    }),
  ];
}
