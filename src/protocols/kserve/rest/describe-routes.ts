import { z } from 'zod';
import type { ModelReference } from '../../../registry/types.ts';
import { defineRoute, type ResponseDefinition, type RouteAnswer, type RouteDefinition } from '../../http/route.ts';
import { modelParams } from '../../http/path-params.ts';
import { modelReference } from '../model-reference.ts';
import type { OpenInference } from '../open-inference.ts';
import { MODEL_CONFIG_EXAMPLE, MODEL_METADATA_EXAMPLE, SERVER_METADATA_EXAMPLE, STATISTICS_EXAMPLE } from './examples.ts';
import { modelMetadata, serverMetadata, versionParams } from './schemas.ts';

export function v2Json(status: number, value: unknown): RouteAnswer {
  return { status, contentType: 'application/json', payload: JSON.stringify(value) };
}

interface ModelRoute {
  /** What comes after the model or version in the path. */
  readonly suffix: string;
  readonly operationId: string;
  readonly summary: string;
  readonly responses: Readonly<Record<number, ResponseDefinition>>;
  answer(reference: ModelReference): RouteAnswer | Promise<RouteAnswer>;
}

/** A route of a model and the same of one of its versions. */
function modelRoutes({ suffix, operationId, summary, responses, answer }: ModelRoute): RouteDefinition[] {
  const shared = { method: 'GET', tag: 'kserve', summary, responses, errors: [400, 404, 500, 503] } as const;
  return [
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      path: `/v2/models/{name}${suffix}`,
      operationId,
      params: modelParams,
      handle: async ({ params }) => answer(modelReference(params.name, undefined)),
    }),
    defineRoute<z.infer<typeof versionParams>>({
      ...shared,
      path: `/v2/models/{name}/versions/{version}${suffix}`,
      operationId: `${operationId}Version`,
      params: versionParams,
      handle: async ({ params }) => answer(modelReference(params.name, params.version)),
    }),
  ];
}

function healthRoutes(openInference: OpenInference): RouteDefinition[] {
  // Servers of the protocol differ in these bodies. They are KServe's; clients of the others look at the status alone.
  const unready = { description: 'Not ready.' };
  return [
    defineRoute({
      method: 'GET',
      path: '/v2/health/live',
      operationId: 'v2Live',
      tag: 'kserve',
      summary: 'Whether the process answers at all.',
      responses: { 200: { description: 'It does.', schema: z.object({ live: z.literal(true) }), example: { live: true } } },
      errors: [],
      handle: async () => v2Json(200, { live: true }),
    }),
    defineRoute({
      method: 'GET',
      path: '/v2/health/ready',
      operationId: 'v2Ready',
      tag: 'kserve',
      summary: 'Whether the server takes work.',
      responses: { 200: { description: 'Ready.', schema: z.object({ ready: z.boolean() }), example: { ready: true } }, 503: unready },
      errors: [],
      handle: async () => {
        const ready = openInference.isReady();
        return v2Json(ready ? 200 : 503, { ready });
      },
    }),
    ...modelRoutes({
      suffix: '/ready',
      operationId: 'v2ModelReady',
      summary: 'Whether a model answers.',
      responses: {
        200: {
          description: 'Ready.',
          schema: z.object({ name: z.string(), ready: z.boolean() }),
          example: { name: 'times-three', ready: true },
        },
        503: unready,
      },
      answer(reference) {
        const ready = openInference.isModelReady(reference);
        return v2Json(ready ? 200 : 503, { name: reference.model, ready });
      },
    }),
  ];
}

/** Health, metadata, configuration and statistics. */
export function createDescribeRoutes(openInference: OpenInference): RouteDefinition[] {
  const statistics = z.object({ model_stats: z.array(z.any()) });
  return [
    ...healthRoutes(openInference),
    defineRoute({
      method: 'GET',
      path: '/v2',
      operationId: 'v2ServerMetadata',
      tag: 'kserve',
      summary: 'Name, version and protocol extensions of the server.',
      responses: { 200: { description: 'The server.', schema: serverMetadata, example: SERVER_METADATA_EXAMPLE } },
      errors: [500],
      handle: async () => v2Json(200, openInference.serverMetadata()),
    }),
    ...modelRoutes({
      suffix: '',
      operationId: 'v2ModelMetadata',
      summary: 'Inputs, outputs and versions of a model.',
      responses: { 200: { description: 'The model.', schema: modelMetadata, example: MODEL_METADATA_EXAMPLE } },
      answer: async (reference) => v2Json(200, await openInference.modelMetadata(reference)),
    }),
    ...modelRoutes({
      suffix: '/config',
      operationId: 'v2ModelConfig',
      summary: 'A model as Triton’s ModelConfig.',
      responses: { 200: { description: 'The configuration.', schema: z.object({}).loose(), example: MODEL_CONFIG_EXAMPLE } },
      answer: async (reference) => v2Json(200, await openInference.modelConfig(reference)),
    }),
    defineRoute({
      method: 'GET',
      path: '/v2/models/stats',
      operationId: 'v2Statistics',
      tag: 'kserve',
      summary: 'Request counts and times of every model.',
      responses: { 200: { description: 'The statistics.', schema: statistics, example: STATISTICS_EXAMPLE } },
      errors: [500],
      handle: async () => v2Json(200, openInference.modelStatistics(undefined)),
    }),
    ...modelRoutes({
      suffix: '/stats',
      operationId: 'v2ModelStatistics',
      summary: 'Request counts and times of a model.',
      responses: { 200: { description: 'The statistics.', schema: statistics, example: STATISTICS_EXAMPLE } },
      answer: (reference) => v2Json(200, openInference.modelStatistics(reference)),
    }),
  ];
}
