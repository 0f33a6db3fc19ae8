import { z } from 'zod';
import { JOB_STATES, type Job } from '../../jobs/job.ts';
import { trainSpecSchema } from '../../jobs/training/spec.ts';

const metrics = z.record(z.string(), z.number());

/** What every kind of jobs answers. */
function jobAnswer<Result extends z.ZodType, Spec extends z.ZodType>(id: string, metricsAre: string, result: Result, spec: Spec) {
  return z
    .object({
      id: z.string(),
      state: z.enum(JOB_STATES),
      reason: z.string().describe('Why it is in this state; empty when there is nothing to say.'),
      error: z.object({ code: z.string(), message: z.string() }).optional().describe('Of a job that failed.'),
      progress: z.number().min(0).max(1),
      metrics: metrics.describe(metricsAre),
      result: result.optional().describe('Of a job that succeeded.'),
      spec: spec.describe('What was asked for, with every default.'),
      priority: z.int(),
      attempts: z.int().describe('How often it was started.'),
      createdAt: z.iso.datetime(),
      startedAt: z.iso.datetime().optional(),
      endedAt: z.iso.datetime().optional(),
    })
    .meta({ id });
}

const published = z.object({ model: z.string(), version: z.int() });

export const trainJobAnswer = jobAnswer(
  'TrainJob',
  'Those of the last epoch; at the end those of the test rows.',
  z.object({
    published: published.optional(),
    engine: z.string(),
    parameters: z.int(),
    weightsDigest: z.string().describe('SHA-256 of the weights: the same spec and data give the same on the same engine.'),
    epochs: z.int().describe('Epochs that were done.'),
    metrics,
    measuredOn: z.enum(['train', 'validation', 'test']).describe('The rows that the metrics are of.'),
    confusion: z
      .object({ labels: z.array(z.string()), counts: z.array(z.array(z.int())) })
      .optional()
      .describe('Rows are what the examples are, columns what they were taken for.'),
  }),
  trainSpecSchema,
);

/** A job as it is answered, whatever its kind. */
export function encodeJob({ kind: _kind, error, ...job }: Job): Record<string, unknown> {
  return { ...job, ...(error && { error: { code: error.code, message: error.message } }) };
}
