import { z } from 'zod';
import { nameSchema, versionSchema } from '../../../packages/manifest.ts';

const temperature = z
  .number()
  .min(0.1)
  .max(1_000)
  .default(2)
  .describe('What the scores of both are divided by before softmax: the higher, the more the classes that are wrong count.');

const weight = z
  .number()
  .gt(0)
  .max(1)
  .default(0.5)
  .describe('Of the teacher in the loss: weight × temperature² × KL(teacher ‖ model) + (1 − weight) × cross-entropy.');

/** How much a teacher that is known counts. */
export const distillationSchema = z.strictObject({ temperature, weight });

/** What a model is taught by beside the right classes; `Distillation` in `engines/training/trainer.ts` has the formula. */
export const teacherSchema = z.strictObject({
  model: nameSchema.describe('Name of a classifier here, in any format that is served.'),
  version: versionSchema
    .optional()
    .describe('The one that answers requests without a version when left out; with an Idempotency-Key it should be said.'),
  temperature,
  weight,
});

export type TeacherSpec = z.infer<typeof teacherSchema>;
