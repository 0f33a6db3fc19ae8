import type { z } from 'zod';
import { parseJson } from '../../tensor/json-scanner.ts';
import { type BodyDefinition, defineRoute, type RouteAnswer, type RouteContext, type RouteDefinition } from '../http/route.ts';
import { callerHeaders } from '../http/caller.ts';
import { modelParams, versionParams } from '../http/path-params.ts';
import type { Predict, SaidReference } from './predict.ts';
import { predictBody, predictQuery, predictResponse } from './schemas.ts';

export interface PredictRouteOptions {
  readonly predict: Predict;
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

const PREDICT_EXAMPLE = { model: 'times-three', inputs: [1, 2, 3] };
const ANSWER_EXAMPLE = { model: 'times-three', version: 1, outputs: { y: [3, 6, 9] } };

/** `POST /predict` and the same with the model, or the model and version, in the path. */
export function createPredictRoutes({ predict, maxBodyBytes, maxJsonDepth }: PredictRouteOptions): RouteDefinition[] {
  const body: BodyDefinition = {
    kind: 'bytes',
    maxBytes: maxBodyBytes,
    required: true,
    content: {
      'application/json': { schema: predictBody, example: PREDICT_EXAMPLE },
      'image/*': { description: 'An image file (PNG, JPEG, WebP, GIF), for models whose slipway.json declares image preprocessing.' },
    },
  };
  const shared = {
    method: 'POST',
    tag: 'predict',
    admission: true,
    query: predictQuery,
    headers: callerHeaders,
    body,
    responses: { 200: { description: 'The outputs of the model.', schema: predictResponse, example: ANSWER_EXAMPLE } },
    errors: [400, 404, 409, 413, 415, 429, 499, 500, 501, 503, 504],
  } as const;

  async function handle(
    path: SaidReference,
    { body: bytes, query, mediaType, caller }: RouteContext<unknown, z.infer<typeof predictQuery>>,
  ): Promise<RouteAnswer> {
    if (mediaType.startsWith('image/')) return predict.fromImage(bytes, [path, query], caller);
    return predict.fromJson(parseJson(bytes, { maxDepth: maxJsonDepth }), [path, query], caller);
  }

  return [
    defineRoute<unknown, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/predict',
      operationId: 'predict',
      summary: 'Run a model.',
      description: 'The model is named in the body, or for an image in the query.',
      handle: (context) => handle({}, context),
    }),
    defineRoute<z.infer<typeof modelParams>, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/models/{name}/predict',
      operationId: 'predictModel',
      summary: 'Run a model named in the path.',
      params: modelParams,
      handle: (context) => handle({ model: context.params.name }, context),
    }),
    defineRoute<z.infer<typeof versionParams>, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/models/{name}/versions/{version}/predict',
      operationId: 'predictVersion',
      summary: 'Run one version of a model.',
      params: versionParams,
      handle: (context) => handle({ model: context.params.name, version: context.params.version }, context),
    }),
  ];
}
