import { z } from 'zod';

const value = z.any().meta({ description: 'A number, boolean, text, `{"b64":"…"}` for bytes, or a nested array of them.' });

/** The fields of a request beside its tensors, which are read by a scanner, not by a schema. */
export const requestEnvelope = z.object({
  signature_name: z
    .string()
    .default('')
    .meta({ description: 'One of the signatures of a SavedModel; `serving_default` of all models, or left out.' }),
});

/** The whole bodies, for the OpenAPI document. */
export const predictBody = requestEnvelope.extend({
  instances: z
    .array(value)
    .optional()
    .meta({ description: 'Row format: one entry for each example; objects by input name when there are several inputs.' }),
  inputs: value.optional().meta({ description: 'Column format: a batch, or an object of batches by input name.' }),
});

const features = z.record(z.string(), value);

export const examplesBody = requestEnvelope.extend({
  context: features.optional().meta({ description: 'Features that all examples share.' }),
  examples: z.array(features).meta({ description: 'The features of each example by input name.' }),
});

export const predictAnswer = z.union([
  z.object({ predictions: z.array(value).meta({ description: 'To the row format: one entry for each example.' }) }),
  z.object({ outputs: value.meta({ description: 'To the column format: a batch, or an object of batches by output name.' }) }),
]);

export const classifyAnswer = z.object({
  results: z.array(z.array(z.tuple([z.string(), z.number()]))).meta({ description: 'For each example its classes: label and score.' }),
});

export const regressAnswer = z.object({ results: z.array(z.number()).meta({ description: 'One value for each example.' }) });

export const statusAnswer = z.object({
  model_version_status: z.array(
    z.object({
      version: z.string(),
      state: z.enum(['START', 'LOADING', 'AVAILABLE', 'UNLOADING', 'END']),
      status: z.object({ error_code: z.string(), error_message: z.string() }),
    }),
  ),
});

export const metadataAnswer = z.object({
  model_spec: z.object({ name: z.string(), signature_name: z.string(), version: z.string() }),
  metadata: z.object({ signature_def: z.object({ signature_def: z.record(z.string(), z.unknown()) }) }),
});
