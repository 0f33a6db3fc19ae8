import { z } from 'zod';
import type { Registry } from '../../registry/types.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';

const liveAnswer = z.object({ status: z.literal('live') });

const readyAnswer = z.object({
  status: z.enum(['ready', 'starting', 'stopping']),
  models: z.array(
    z.object({
      name: z.string(),
      version: z.int(),
      state: z.string(),
      engine: z.string().optional(),
      backend: z.string().optional(),
      device: z.string().optional(),
      reason: z.string(),
    }),
  ),
});

const READY_EXAMPLE: z.infer<typeof readyAnswer> = {
  status: 'ready',
  models: [
    {
      name: 'digits',
      version: 1,
      state: 'ready',
      engine: 'onnx',
      backend: 'cpu',
      device: 'cpu',
      reason: 'The engine onnx, the only one for the format onnx.',
    },
  ],
};

export type ServerPhase = z.infer<typeof readyAnswer>['status'];

/** Liveness and readiness. A failed model does not make the server unready: the others go on. */
export function createHealthRoutes(registry: Pick<Registry, 'list'>, phase: () => ServerPhase): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/livez',
      operationId: 'live',
      tag: 'operation',
      summary: 'Whether the process answers at all.',
      responses: { 200: { description: 'It does.', schema: liveAnswer, example: { status: 'live' } } },
      errors: [],
      handle: async () => json(200, { status: 'live' }),
    }),
    defineRoute({
      method: 'GET',
      path: '/readyz',
      operationId: 'ready',
      tag: 'operation',
      summary: 'Whether the server takes work, and which engine and device answer for each model.',
      responses: {
        200: { description: 'Ready.', schema: readyAnswer, example: READY_EXAMPLE },
        503: { description: 'Starting or stopping.', schema: readyAnswer, example: { status: 'stopping', models: [] } },
      },
      errors: [],
      handle: async () => {
        const status = phase();
        const models = registry.list().flatMap((model) =>
          model.versions
            .filter((version) => version.state !== 'unloaded')
            .map(({ version, state, reason, loaded }) => ({
              name: model.name,
              version,
              state,
              ...(loaded && { engine: loaded.engine, backend: loaded.backend, device: loaded.device }),
              reason: reason === '' ? (loaded?.reason ?? '') : reason,
            })),
        );
        return json(status === 'ready' ? 200 : 503, { status, models });
      },
    }),
  ];
}
