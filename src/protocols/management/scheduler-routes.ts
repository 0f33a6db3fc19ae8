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
  maxQueueMs: z.int().positive().describe('A request whose wait is predicted to be longer than this is refused, in milliseconds.'),
  maxBatchSize: z.int().positive().describe('Most rows of a batch; 1 turns batching off. A larger request runs alone.'),
  batchLatencyMs: z
    .int()
    .positive()
    .describe(
      'Batches are made no larger than what is predicted to take this long, in milliseconds, or four times one row if that is more.',
    ),
  exactBatches: z.boolean().describe('Batches are made only where a trial gave the same bits as requests alone.'),
});

const versionAnswer = z.object({
  version: z.int(),
  batching: z.object({
    state: z.enum(['off', 'proving', 'on']),
    reason: z.string(),
    exact: z.boolean().optional().describe('Whether a trial batch gave the same bits as a request alone.'),
  }),
  fit: z
    .object({
      unit: z.enum(['rows', 'elements']).describe('What sizes count: rows, or input elements of models with other open dimensions.'),
      perUnitMs: z.number().optional(),
      fixedMs: z.number().optional(),
      overheadMs: z.number().optional().describe('On the way to the runner and back.'),
      runs: z.int().describe('Runs that were measured.'),
      samples: z
        .array(z.object({ size: z.number(), ms: z.number(), runs: z.int() }))
        .describe('The means that the line is laid through, by class of size.'),
    })
    .describe('What a run of n units costs, learned from the runs: perUnitMs × n + fixedMs in the engine.'),
  targetSize: z.int().optional().describe('The largest batch that is made at present, in units of the fit.'),
  queue: z.object({
    depth: z.int(),
    waitMs: z.number().describe('What a request that comes now is predicted to wait.'),
    inFlight: z.int().describe('Runs that were sent to the runner and are not answered yet.'),
  }),
  latency: z.object({ count: z.int(), p50Ms: z.number(), p99Ms: z.number() }).optional().describe('Of the latest requests.'),
  predictedP99Ms: z
    .number()
    .optional()
    .describe('What nearly every request is predicted to stay below: the largest of the latest batches to end, then another one.'),
  dropped: z
    .object({
      queueFull: z.int().describe('Refused: the queue had no room.'),
      unreachable: z.int().describe('Refused: the answer would have come too late.'),
      expired: z.int().describe('Their time was over while they waited or ran.'),
      cancelled: z.int().describe('Their clients went away.'),
    })
    .describe('Requests that got no answer, since the version was loaded.'),
  decisions: z
    .array(
      z.object({
        at: z.iso.datetime(),
        requests: z.int(),
        rows: z.int(),
        size: z.number(),
        waitedMs: z.number().describe('How long its first request had waited.'),
        left: z.int().describe('Requests that were left to wait.'),
        predictedMs: z.number().optional(),
        computeMs: z.number().optional().describe('In the engine; missing while it runs, or when it failed.'),
        reason: z.string().describe('Why no more went with it.'),
      }),
    )
    .describe('The last batches, the latest first.'),
});

const schedulerAnswer = z.object({ settings, versions: z.array(versionAnswer) });

const EXAMPLE: z.infer<typeof schedulerAnswer> = {
  settings: { maxQueueDepth: 1_000, maxQueueMs: 10_000, maxBatchSize: 256, batchLatencyMs: 10, exactBatches: false },
  versions: [
    {
      version: 1,
      batching: {
        state: 'on',
        reason: 'In a trial, the answer of a request between two others was to the bit the same as alone.',
        exact: true,
      },
      fit: {
        unit: 'rows',
        perUnitMs: 0.01,
        fixedMs: 0.02,
        overheadMs: 0.09,
        runs: 1_204,
        samples: [
          { size: 1, ms: 0.03, runs: 4 },
          { size: 12.4, ms: 0.15, runs: 1_200 },
        ],
      },
      targetSize: 42,
      queue: { depth: 0, waitMs: 0, inFlight: 0 },
      latency: { count: 1_000, p50Ms: 0.4, p99Ms: 1.1 },
      predictedP99Ms: 0.86,
      dropped: { queueFull: 0, unreachable: 3, expired: 0, cancelled: 1 },
      decisions: [
        {
          at: '2026-11-24T12:00:00.000Z',
          requests: 7,
          rows: 7,
          size: 7,
          waitedMs: 0.11,
          left: 0,
          predictedMs: 0.18,
          computeMs: 0.09,
          reason: 'nothing else waited',
        },
      ],
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
    const { maxQueueDepth, maxQueueMs, maxBatchSize, batchLatencyMs, exactBatches } = lanes.settingsOf(model);
    return {
      settings: { maxQueueDepth, maxQueueMs, maxBatchSize, batchLatencyMs, exactBatches },
      versions: ready.map((each) => {
        const { decisions, ...rest } = lanes.of(each).describe();
        return versionAnswer.parse({
          version: each.version,
          ...rest,
          decisions: decisions.map((decision) => ({ ...decision, at: new Date(decision.at).toISOString() })),
        });
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
