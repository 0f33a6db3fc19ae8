import { z } from 'zod';
import { JOB_STATES, type Job } from '../../jobs/job.ts';
import { VERDICTS } from '../../jobs/optimization/result.ts';
import { optimizeSpecSchema } from '../../jobs/optimization/spec.ts';
import { techniqueSchema } from '../../jobs/optimization/techniques.ts';
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

const modelMeasurement = {
  engine: z.string().describe('What answers: engine and backend, in the form in which the version is served.'),
  sizeBytes: z.int().describe('Of the model’s files.'),
  compressedBytes: z.int().describe('Of the same files, each compressed with Zstandard, as in a `.slip.zst`.'),
  multiplications: z.int().optional().describe('For one row; of TF.js layers models.'),
  accuracy: z.number().describe('Share of the rows whose class is right.'),
};
const onFront = z.boolean().describe('Nothing that was measured is at least as small, fast and accurate, and better in one of them.');

const latency = z.object({
  batch: z.int(),
  ms: z.number().describe('Median time of one run.'),
  parentMs: z.number().describe('The parent’s, measured by turns with it.'),
  speedup: z.number().describe('Median of the parent’s time divided by the variant’s.'),
  pValue: z.number().describe('Sign test over the rounds.'),
});

const comparison = z.object({
  parentAccuracy: z.number(),
  accuracyDrop: z.number().describe('Above 0 when the variant is worse.'),
  accuracyDropUpper95: z.number().describe('The drop is below it with a probability of 95 %.'),
  agreement: z.number().describe('Share of the rows that both give the same class.'),
  onlyParentRight: z.int().describe('Rows that the parent alone gets right.'),
  onlyVariantRight: z.int(),
  pValue: z.number().describe('McNemar’s exact test, two-sided: that chance alone makes such a difference.'),
});

export const optimizeJobAnswer = jobAnswer(
  'OptimizeJob',
  'Those of the best variant: `accuracy`, `speedup` and `sizeRatio`.',
  z.object({
    published: published.optional(),
    data: z.object({
      source: z.string(),
      digest: z.string(),
      target: z.string(),
      rows: z.object({ evaluation: z.int(), calibration: z.int(), fineTuning: z.int() }).describe('No row is for two of them.'),
      seed: z.int(),
      split: z.string().describe('How the rows were told apart.'),
    }),
    parent: z.object({
      model: z.string(),
      version: z.int(),
      ...modelMeasurement,
      latencies: z.array(z.object({ batch: z.int(), ms: z.number() })),
      onFront,
    }),
    variants: z.array(
      z.object({
        techniques: z.array(techniqueSchema).describe('In the order in which they were done.'),
        verdict: z.enum(VERDICTS),
        reasons: z.array(z.string()).describe('Why it was turned down.'),
        notes: z.array(z.string()).describe('What each technique did.'),
        layers: z
          .array(
            z.object({
              layer: z.string(),
              before: z.int(),
              after: z.int(),
              sensitivity: z
                .number()
                .optional()
                .describe('Drop of the accuracy on the calibration rows when this layer alone is pruned so, without fine-tuning.'),
            }),
          )
          .describe('Channels or weights of each layer, before and after pruning.'),
        measurement: z
          .object({
            ...modelMeasurement,
            sizeRatio: z.number().describe('Bytes of the parent divided by those of the variant.'),
            latencies: z.array(latency),
            comparison,
          })
          .optional(),
        onFront,
      }),
    ),
    untried: z.array(z.array(techniqueSchema)).describe('What the budget left no room for.'),
  }),
  optimizeSpecSchema,
);

/** A job as it is answered, whatever its kind. */
export function encodeJob({ kind: _kind, error, ...job }: Job): Record<string, unknown> {
  return { ...job, ...(error && { error: { code: error.code, message: error.message } }) };
}
