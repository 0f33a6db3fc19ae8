import { z } from 'zod';
import type { ModelReference } from '../../../registry/types.ts';
import { compressAnswer, decodeBody } from '../../http/content-encoding.ts';
import { type BodyDefinition, defineRoute, type RouteAnswer, type RouteContext, type RouteDefinition } from '../../http/route.ts';
import { callerHeaders } from '../../http/caller.ts';
import { modelParams } from '../../http/path-params.ts';
import { modelReference } from '../model-reference.ts';
import type { OpenInference } from '../open-inference.ts';
import { splitBody } from './binary-part.ts';
import { decodeInferRequest } from './decode-infer.ts';
import { createInferHeadReader } from './infer-head.ts';
import { decodeRawRequest } from './decode-raw.ts';
import { checkOutputForms, encodeInferAnswer } from './encode-infer.ts';
import { inferAnswer, inferBody, versionParams } from './schemas.ts';

export interface InferRouteOptions {
  readonly openInference: OpenInference;
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

const inferHeaders = callerHeaders.extend({
  'Inference-Header-Content-Length': z.int().min(0).optional().meta({
    description: 'Bytes of the JSON at the start of a body with binary tensors; 0 for a body that is one tensor and no JSON.',
  }),
});

const REQUEST_EXAMPLE = { inputs: [{ name: 'x', datatype: 'FP32', shape: [3], data: [1, 2, 3] }] };
const ANSWER_EXAMPLE = {
  model_name: 'times-three',
  model_version: '1',
  outputs: [{ name: 'y', datatype: 'FP32', shape: [3], data: [3, 6, 9] }],
};

/** `POST /v2/models/{name}[/versions/{version}]/infer`, with the binary tensor extension. */
export function createInferRoutes({ openInference, maxBodyBytes, maxJsonDepth }: InferRouteOptions): RouteDefinition[] {
  const { infer } = openInference;
  const readHead = createInferHeadReader(maxJsonDepth);

  async function handle(reference: ModelReference, { body, headers, caller }: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const plain = await decodeBody(body, headers['content-encoding'], maxBodyBytes);
    const version = await infer.resolve(reference, caller);
    const { json, binary } = splitBody(plain, headers['inference-header-content-length']);
    const request = json === undefined ? decodeRawRequest(binary, version.signature) : decodeInferRequest(readHead(json), binary);
    checkOutputForms(request, version.signature);
    const answer = await infer.run(version, request, caller);
    return compressAnswer(encodeInferAnswer(answer, request), headers['accept-encoding']);
  }

  const body: BodyDefinition = {
    kind: 'bytes',
    maxBytes: maxBodyBytes,
    required: true,
    content: {
      'application/json': { schema: inferBody, example: REQUEST_EXAMPLE },
      'application/octet-stream': {
        description: 'JSON of `Inference-Header-Content-Length` bytes, and the bytes of its binary tensors behind it.',
      },
      // What curl -d says of its body; the examples of Triton's documentation are sent so.
      'application/x-www-form-urlencoded': { description: 'The same as application/json.' },
    },
  };
  const shared = {
    method: 'POST',
    tag: 'kserve',
    admission: true,
    headers: inferHeaders,
    body,
    responses: {
      200: {
        description:
          'The outputs of the model. Where binary outputs are asked for, JSON of `Inference-Header-Content-Length` bytes and their bytes behind it.',
        schema: inferAnswer,
        example: ANSWER_EXAMPLE,
        alsoBinary: true,
      },
    },
    errors: [400, 404, 413, 415, 429, 499, 500, 501, 503],
  } as const;

  return [
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      path: '/v2/models/{name}/infer',
      operationId: 'v2Infer',
      summary: 'Run a model (Open Inference Protocol).',
      params: modelParams,
      handle: (context) => handle(modelReference(context.params.name, undefined), context),
    }),
    defineRoute<z.infer<typeof versionParams>>({
      ...shared,
      path: '/v2/models/{name}/versions/{version}/infer',
      operationId: 'v2InferVersion',
      summary: 'Run one version of a model (Open Inference Protocol).',
      params: versionParams,
      handle: (context) => handle(modelReference(context.params.name, context.params.version), context),
    }),
  ];
}
