import { z } from 'zod';
import type { Registry, ReadyVersion } from '../../registry/types.ts';
import type { Lanes } from '../../scheduler/lanes.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import { modelParams } from '../http/path-params.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';

const settings = z.strictObject({
  maxQueueDepth: z.int().positive().describe('Requests that may wait for one version; further ones are refused.'),
  maxBatchSize: z.int().positive().describe('Most rows of a batch; 1 turns batching off.'),
  batchLatencyMs: z.int().positive().describe('Batches are made no larger than what is measured to take this long, in milliseconds.'),
});

const schedulerAnswer = z.object({
  settings,
  versions: z.array(
    z.object({
      version: z.int(),
      batching: z.object({
        state: z.enum(['off', 'proving', 'on']),
        reason: z.string(),
        exact: z.boolean().optional().describe('Whether batches gave the same bits as single requests, as far as they were compared.'),
        fit: z
          .object({ baseMs: z.number(), perRowMs: z.number(), samples: z.int() })
          .optional()
          .describe('What a batch costs, as it was measured: baseMs + perRowMs × rows.'),
        maxRows: z.int().describe('Most rows of the next batch, by the measured cost and the settings.'),
        recent: z.array(z.object({ requests: z.int(), rows: z.int(), ms: z.number() })).describe('The latest runs, the last one first.'),
      }),
      queue: z.object({ depth: z.int(), waitMs: z.number().describe('About how long a request that comes now waits.') }),
      latency: z.object({ count: z.int(), p50Ms: z.number(), p99Ms: z.number() }).optional().describe('Of the latest requests.'),
      predictedP99Ms: z
        .number()
        .describe('The time of a request that comes just after a full batch was begun and goes with a full one, in milliseconds.'),
    }),
  ),
});

const EXAMPLE = {
  settings: { maxQueueDepth: 1_000, maxBatchSize: 64, batchLatencyMs: 10 },
  versions: [
    {
      version: 1,
      batching: {
        state: 'on' as const,
        reason: 'Requests that wait are run together; batches gave the same bits as single requests.',
        exact: true,
        fit: { baseMs: 0.2, perRowMs: 0.02, samples: 1_204 },
        maxRows: 64,
        recent: [{ requests: 7, rows: 7, ms: 0.34 }],
      },
      queue: { depth: 0, waitMs: 0 },
      latency: { count: 1_000, p50Ms: 0.4, p99Ms: 1.1 },
      predictedP99Ms: 2.96,
    },
  ],
};

const change = settings.partial();

const BODY_BYTES = 4_096;

export interface SchedulerRouteOptions {
  readonly registry: Registry;
  readonly lanes: Lanes;
}

/** How requests of a model are put together, and what may be changed of it while it serves. */
export function createSchedulerRoutes({ registry, lanes }: SchedulerRouteOptions): RouteDefinition[] {
  function describe(model: string): z.infer<typeof schedulerAnswer> {
    const ready: ReadyVersion[] = registry
      .describe(model)
      .versions.filter(({ state }) => state === 'ready')
      .map(({ version }) => registry.resolve({ model, version }));
    const { maxQueueDepth, maxBatchSize, batchLatencyMs } = lanes.settingsOf(model);
    return {
      settings: { maxQueueDepth, maxBatchSize, batchLatencyMs },
      versions: ready.map((each) => {
        const { batching, latency, ...rest } = lanes.describe(each);
        const { exact, fit, recent, ...batchingRest } = batching;
        return {
          version: each.version,
          batching: { ...batchingRest, ...(exact !== undefined && { exact }), ...(fit && { fit }), recent: [...recent] },
          ...(latency && { latency }),
          ...rest,
        };
      }),
    };
  }

  const shared = {
    path: '/models/{name}/scheduler',
    tag: 'models',
    params: modelParams,
    responses: {
      200: { description: 'Settings, and for each ready version what was measured.', schema: schedulerAnswer, example: EXAMPLE },
    },
  } as const;
  return [
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      method: 'GET',
      operationId: 'describeScheduler',
      summary: 'How requests of a model wait and are batched: the measured cost of a batch, the latest runs, why.',
      errors: [400, 404, 500, 503],
      handle: async ({ params }) => json(200, describe(params.name)),
    }),
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      method: 'PATCH',
      operationId: 'changeScheduler',
      summary: 'Change how requests of a model wait and are batched, at once and until the server ends.',
      body: {
        kind: 'bytes',
        maxBytes: BODY_BYTES,
        required: true,
        content: { 'application/json': { schema: change, example: { maxBatchSize: 16 } } },
      },
      errors: [400, 404, 413, 415, 500, 503],
      handle: async ({ params, body }) => {
        registry.describe(params.name);
        lanes.update(params.name, checkInput(change, toPlain(parseJson(body)), ''));
        return json(200, describe(params.name));
      },
    }),
  ];
}
