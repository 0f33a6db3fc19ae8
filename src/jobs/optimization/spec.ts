import { z } from 'zod';
import { OBJECTIVES } from '../../optimization/gate/pareto.ts';
import { nameSchema, versionSchema } from '../../packages/manifest.ts';
import { distillationSchema } from '../training/distillation/schema.ts';
import { splitSchema } from '../training/spec.ts';
import { TECHNIQUE_KINDS, techniqueSchema } from './techniques.ts';

const dataSchema = z.strictObject({
  dataset: nameSchema.describe('Name or id of the dataset.'),
  target: z.string().min(1).optional().describe('The column with the right classes. When left out: as for training.'),
  split: splitSchema
    .optional()
    .describe(
      'Which rows are for what: test rows to measure on, validation rows to calibrate on, training rows to fine-tune on. When left out: the split that the version was trained with, if it was trained on this dataset; the dataset’s own column; else 0.2 of the rows calibrate and the rest measure, and none fine-tune.',
    ),
});

const fineTuningSchema = z.strictObject({
  dataset: nameSchema.optional().describe('Name or id of another dataset to fine-tune on; the training rows of `data` when left out.'),
  target: z.string().min(1).optional().describe('The column with the right classes in it.'),
  epochs: z.int().min(0).max(10_000).default(5).describe('0 leaves variants as the techniques have made them.'),
  learningRate: z.number().positive().max(1_000).default(0.001).describe('Of Adam, at the beginning; it falls to 0 along a cosine.'),
  batchSize: z.int().min(1).max(1_000_000).default(32),
  teacher: distillationSchema
    .optional()
    .describe('Variants learn from the probabilities that the version gives, too. From the right classes alone when left out.'),
});

const limitsSchema = z.strictObject({
  accuracyDrop: z.number().min(0).max(1).default(0.01).describe('Largest drop of the accuracy, as a share: 0.01 is one point.'),
  sure: z
    .boolean()
    .default(false)
    .describe('The drop must be within its limit with a probability of 95 %, not only as measured. Needs many rows.'),
  latencyMs: z.number().positive().optional().describe('Longest time of one run with one row, in milliseconds.'),
  sizeBytes: z.int().positive().optional().describe('Most bytes of the model’s files.'),
  slowdown: z.number().min(1).max(1_000).default(1.05).describe('How many times the parent’s time a run may take.'),
});

/** What an optimization job is asked for. */
export const optimizeSpecSchema = z.strictObject({
  model: nameSchema,
  version: versionSchema.optional().describe('The one that answers requests without a version when left out.'),
  label: nameSchema.optional().describe('In place of a version.'),
  techniques: z
    .array(z.union([z.enum(TECHNIQUE_KINDS), techniqueSchema], `must be one of ${TECHNIQUE_KINDS.join(', ')}, or {"kind": …} with options`))
    .min(1)
    .max(50)
    .describe('What to try, each alone and together with others; a technique may be given several times with other options.'),
  data: z
    .union([nameSchema, dataSchema], 'must be the name of a dataset, or {"dataset": …}')
    .optional()
    .describe('Rows with their right classes. When left out: the evaluation set that slipway.json of the version names.'),
  fineTuning: fineTuningSchema
    .prefault({})
    .describe('How variants that lost weights or channels are trained further, where there are rows for it.'),
  limits: limitsSchema.prefault({}),
  objective: z.enum(OBJECTIVES).default('balanced').describe('Which of the variants within the limits is published.'),
  budget: z
    .strictObject({
      tries: z.int().min(1).max(1_000).default(20).describe('Most variants that are tried.'),
      minutes: z.number().positive().max(10_000).optional().describe('No variant is begun after so many minutes of work.'),
    })
    .prefault({}),
  publish: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          model: nameSchema.optional().describe('Name of the model; the one that is optimized when left out.'),
          label: nameSchema.optional().describe('Label for the new version.'),
        }),
      ],
      'must be false or {"model": …, "label": …}',
    )
    .prefault({})
    .describe('Where the best variant goes. `false` only measures.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31)
    .default(0)
    .describe('Of the split of the data and of fine-tuning.'),
  priority: z.int().min(-100).max(100).default(0).describe('Higher ones are taken from the queue first.'),
});

export type OptimizeSpec = z.infer<typeof optimizeSpecSchema>;
