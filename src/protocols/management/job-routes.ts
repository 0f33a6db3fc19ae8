import { z } from 'zod';
import type { Config } from '../../config/schema.ts';
import type { JobKind } from '../../jobs/job.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { assertMayPublish } from '../../jobs/publish.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { eventStream } from '../http/server-sent-events.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { encodeJob } from './job-schemas.ts';

export interface JobRouteLimits {
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

/** A kind of jobs, as its routes show it. */
export interface JobRoutesOptions<Spec> extends JobRouteLimits {
  readonly jobs: Jobs;
  readonly kind: JobKind;
  /** Also the tag of the routes: `train-jobs`. */
  readonly path: string;
  /** In the names of operations: `TrainJob`. */
  readonly name: string;
  /** In sentences: `training job`. */
  readonly noun: string;
  /** What may be asked for, and an example. */
  readonly spec: { readonly schema: z.ZodType<Spec>; readonly example: unknown };
  readonly answer: { readonly schema: z.ZodType; readonly example: unknown };
  readonly submitting: { readonly summary: string; readonly description: string };
  /** The types of events beside `state` and `process`, in words. */
  readonly events: string;
  /** What is kept of a job that was cancelled, in a sentence. */
  readonly kept: string;
  /** What a job that goes on comes to, in a sentence. */
  readonly resumed: string;
  /** What a job makes is published as this says, if its spec asks for that. */
  readonly packages: Config['packages'];
  publishes(spec: Spec): boolean;
  /** Fills in what the spec leaves out and refuses what can be known to be wrong. */
  prepare(spec: Spec): Promise<{ readonly spec: unknown; readonly priority: number }>;
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

/** The routes of a kind of jobs: the same verbs and answers for all of them. */
export function createJobRoutes<Spec>(options: JobRoutesOptions<Spec>): RouteDefinition[] {
  const { jobs, kind, path: tag, name, noun, spec: asked, answer, submitting, maxBodyBytes, maxJsonDepth } = options;
  const path = `/${tag}`;
  return [
    defineRoute({
      method: 'POST',
      path,
      operationId: `create${name}`,
      tag,
      ...submitting,
      body: { kind: 'bytes', required: true, maxBytes: maxBodyBytes, content: { 'application/json': asked } },
      responses: { 202: { description: 'The job is queued.', ...answer, headers: { location: 'Address of the job.' } } },
      errors: [400, 403, 404, 409, 413, 415, 429, 500, 503],
      async handle({ body, headers }) {
        const checked = checkInput(asked.schema, toPlain(parseJson(body, { maxDepth: maxJsonDepth })), '');
        if (options.publishes(checked)) assertMayPublish(options.packages);
        const { spec, priority } = await options.prepare(checked);
        const job = await jobs.submit({ kind, spec, priority, idempotencyKey: idempotencyKey(headers['idempotency-key']) });
        return json(202, encodeJob(job), { location: `${path}/${job.id}` });
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      operationId: `list${name}s`,
      tag,
      summary: `List the ${noun}s.`,
      responses: {
        200: {
          description: 'All of them, newest first.',
          schema: z.object({ jobs: z.array(answer.schema) }),
          example: { jobs: [answer.example] },
        },
      },
      errors: [500, 503],
      handle: async () => json(200, { jobs: jobs.list(kind).map(encodeJob) }),
    }),
    defineRoute<JobParams>({
      method: 'GET',
      path: `${path}/{id}`,
      operationId: `describe${name}`,
      tag,
      summary: `Describe ${articleOf(noun)} ${noun}: its state, progress, metrics and result.`,
      params: jobParams,
      responses: { 200: { description: 'The job.', ...answer } },
      errors: [400, 404, 500, 503],
      handle: async ({ params }) => json(200, encodeJob(jobs.describe(kind, params.id))),
    }),
    defineRoute<JobParams>({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `delete${name}`,
      tag,
      summary: `Delete ${articleOf(noun)} ${noun} that has ended.`,
      description:
        'Its record, events and checkpoints go, and its idempotency key is free again. The version that it has published stays. JOB_NOT_ENDED for one that has not ended: cancel it first.',
      params: jobParams,
      responses: { 204: { description: 'The job is gone.' } },
      errors: [400, 404, 409, 500, 503],
      handle: async ({ params }) => {
        await jobs.remove(kind, params.id);
        return { status: 204 };
      },
    }),
    defineRoute<JobParams, EventsQuery>({
      method: 'GET',
      path: `${path}/{id}/events`,
      operationId: `follow${name}`,
      tag,
      summary: `Follow ${articleOf(noun)} ${noun}.`,
      description: `Server-sent events: \`state\`, \`process\` (its id), ${options.events}. The stream begins with what has happened and ends with the job.`,
      params: jobParams,
      query: eventsQuery,
      responses: { 200: { description: 'The events.', contentType: 'text/event-stream' } },
      errors: [400, 404, 500, 503],
      async handle({ params, query, headers, signal }) {
        const known = headers['last-event-id'];
        const after = query.after ?? (typeof known === 'string' && /^\d{1,15}$/.test(known) ? Number(known) : 0);
        jobs.describe(kind, params.id);
        const payload = eventStream(jobs.events(kind, params.id, after, signal));
        return { status: 200, contentType: 'text/event-stream', headers: { 'cache-control': 'no-store' }, payload };
      },
    }),
    ...(['cancel', 'resume'] as const).map((verb) =>
      defineRoute<JobParams>({
        method: 'POST',
        path: `${path}/{id}/${verb}`,
        operationId: `${verb}${name}`,
        tag,
        summary:
          verb === 'cancel'
            ? `Cancel ${articleOf(noun)} ${noun}.`
            : `Go on with ${articleOf(noun)} ${noun} that was cancelled or has failed.`,
        description: verb === 'cancel' ? `A job that runs is \`cancelling\` until its process has ended. ${options.kept}` : options.resumed,
        params: jobParams,
        responses: { 202: { description: 'The job.', ...answer } },
        errors: [400, 404, 409, 429, 500, 503],
        handle: async ({ params }) => json(202, encodeJob(jobs[verb](kind, params.id))),
      }),
    ),
  ];
}

function articleOf(noun: string): string {
  return /^[aeiou]/.test(noun) ? 'an' : 'a';
}
