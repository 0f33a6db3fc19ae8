import { z } from 'zod';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { trainSpecSchema } from '../../jobs/training/spec.ts';
import { resolveSpec } from '../../jobs/training/train-work.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { eventStream } from '../http/server-sent-events.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { encodeJob, trainJobAnswer, trainJobList } from './job-schemas.ts';
import { TRAIN_JOB_EXAMPLE, TRAIN_SPEC_EXAMPLE } from './train-job-examples.ts';

export interface TrainJobRouteOptions {
  readonly jobs: Jobs;
  readonly datasets: DatasetCatalog;
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

const jobParams = z.object({
  id: z.string().min(1).max(64).meta({ description: 'Id of the job.', example: '6f1e7d3a-9a52-4c1d-9e8f-7a100192f7c4' }),
});
type JobParams = z.infer<typeof jobParams>;

const eventsQuery = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .optional()
    .describe('Id of the last event that is known; those after it are sent. The header Last-Event-ID says the same. All when left out.'),
});
type EventsQuery = z.infer<typeof eventsQuery>;

/** Longest key, in characters. */
const MAX_KEY = 255;

function idempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && header.length > 0 && header.length <= MAX_KEY) return header;
  throw new SlipwayError('INVALID_REQUEST', `The header Idempotency-Key must have 1 to ${MAX_KEY} characters.`);
}

/** `/train-jobs`: training as a job. */
export function createTrainJobRoutes({ jobs, datasets, maxBodyBytes, maxJsonDepth }: TrainJobRouteOptions): RouteDefinition[] {
  const answer = { schema: trainJobAnswer, example: TRAIN_JOB_EXAMPLE };
  return [
    defineRoute({
      method: 'POST',
      path: '/train-jobs',
      operationId: 'createTrainJob',
      tag: 'train-jobs',
      summary: 'Train a model on a dataset.',
      description:
        'Queues a job. It trains in a process of its own with a lower priority than serving and publishes the version that comes of it. The header Idempotency-Key names the request: sent again, it answers with the same job.',
      body: {
        kind: 'bytes',
        required: true,
        maxBytes: maxBodyBytes,
        content: { 'application/json': { schema: trainSpecSchema, example: TRAIN_SPEC_EXAMPLE } },
      },
      responses: { 202: { description: 'The job is queued.', ...answer, headers: { location: 'Address of the job.' } } },
      errors: [400, 404, 409, 413, 415, 429, 500, 503],
      async handle({ body, headers }) {
        const spec = checkInput(trainSpecSchema, toPlain(parseJson(body, { maxDepth: maxJsonDepth })), '');
        const job = await jobs.submit({
          kind: 'train',
          spec: resolveSpec(spec, datasets),
          priority: spec.priority,
          idempotencyKey: idempotencyKey(headers['idempotency-key']),
        });
        return json(202, encodeJob(job), { location: `/train-jobs/${job.id}` });
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/train-jobs',
      operationId: 'listTrainJobs',
      tag: 'train-jobs',
      summary: 'List the training jobs.',
      responses: { 200: { description: 'All of them, newest first.', schema: trainJobList, example: { jobs: [TRAIN_JOB_EXAMPLE] } } },
      errors: [500, 503],
      handle: async () => json(200, { jobs: jobs.list('train').map(encodeJob) }),
    }),
    defineRoute<JobParams>({
      method: 'GET',
      path: '/train-jobs/{id}',
      operationId: 'describeTrainJob',
      tag: 'train-jobs',
      summary: 'Describe a training job: its state, progress, metrics and result.',
      params: jobParams,
      responses: { 200: { description: 'The job.', ...answer } },
      errors: [400, 404, 500, 503],
      handle: async ({ params }) => json(200, encodeJob(jobs.describe('train', params.id))),
    }),
    defineRoute<JobParams>({
      method: 'DELETE',
      path: '/train-jobs/{id}',
      operationId: 'deleteTrainJob',
      tag: 'train-jobs',
      summary: 'Delete a training job that has ended.',
      description:
        'Its record, events and checkpoints go, and its idempotency key is free again. The version that it has published stays. JOB_NOT_ENDED for one that has not ended: cancel it first.',
      params: jobParams,
      responses: { 204: { description: 'The job is gone.' } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => {
        await jobs.remove('train', params.id);
        return { status: 204 };
      },
    }),
    defineRoute<JobParams, EventsQuery>({
      method: 'GET',
      path: '/train-jobs/{id}/events',
      operationId: 'followTrainJob',
      tag: 'train-jobs',
      summary: 'Follow a training job.',
      description:
        'Server-sent events: `state`, `process` (its id), `prepared` (what the data became), `progress` (loss, examples per second, time left), `epoch` (metrics) and `result`. The stream begins with what has happened and ends with the job.',
      params: jobParams,
      query: eventsQuery,
      responses: { 200: { description: 'The events.', contentType: 'text/event-stream' } },
      errors: [400, 404, 500, 503],
      async handle({ params, query, headers, signal }) {
        const known = headers['last-event-id'];
        const after = query.after ?? (typeof known === 'string' && /^\d{1,15}$/.test(known) ? Number(known) : 0);
        jobs.describe('train', params.id);
        const payload = eventStream(jobs.events('train', params.id, after, signal));
        return { status: 200, contentType: 'text/event-stream', headers: { 'cache-control': 'no-store' }, payload };
      },
    }),
    ...(['cancel', 'resume'] as const).map((verb) =>
      defineRoute<JobParams>({
        method: 'POST',
        path: `/train-jobs/{id}/${verb}`,
        operationId: `${verb}TrainJob`,
        tag: 'train-jobs',
        summary: verb === 'cancel' ? 'Cancel a training job.' : 'Go on with a training job that was cancelled or has failed.',
        description:
          verb === 'cancel'
            ? 'A job that runs is `cancelling` until its process has ended. What it has reached stays in its last checkpoint.'
            : 'It goes on from its last checkpoint and comes to the same result as one that was never interrupted.',
        params: jobParams,
        responses: { 202: { description: 'The job.', ...answer } },
        errors: [400, 404, 409, 429, 500, 503],
        handle: async ({ params }) => json(202, encodeJob(jobs[verb]('train', params.id))),
      }),
    ),
  ];
}
