import { z } from 'zod';
import { nameSchema, versionSchema } from '../../packages/manifest.ts';
import { versionText } from '../http/path-params.ts';

/** The fields of a predict body beside the tensors; the tensors are read by a scanner, not by a schema. */
export const predictEnvelope = z.strictObject({
  model: nameSchema.optional().describe('Name of the model. Left out when the path names it.'),
  version: versionSchema.optional().describe('Version; the latest ready one when left out.'),
  label: nameSchema.optional().describe('Label of a version, instead of `version`.'),
  outputs: z.array(z.string()).optional().describe('Names of the wanted outputs; all when left out.'),
  parameters: z
    .strictObject({
      timeoutMs: z
        .number()
        .positive()
        .optional()
        .describe('Longest time for the answer, in milliseconds; the server’s own limit holds too.'),
      priority: z
        .int()
        .positive()
        .optional()
        .describe(
          'Among requests that wait, 1 goes first, then 2 and so on; the server’s default is the setting `scheduler.defaultPriority`.',
        ),
    })
    .optional(),
});

export type PredictEnvelope = z.infer<typeof predictEnvelope>;

const nested = z.any().meta({ description: 'A nested array in the shape of the tensor, or a bare value for a scalar.' });

/** The whole predict body, for the OpenAPI document. */
export const predictBody = predictEnvelope.extend({
  inputs: z.union([nested, z.record(z.string(), nested)]).meta({
    description:
      'A nested array when the model has one input, else an object of nested arrays by input name. Leading dimensions of size 1 may be left out. For a model whose slipway.json declares table preprocessing: an array of objects with the columns, or one such object. For one that declares text preprocessing: a text or an array of texts, or of objects with the text; a text may be an array of its tokens where the tokenizer is of the kind `list`.',
  }),
});

const prediction = z.object({
  label: z.string(),
  probability: z.number(),
  top: z.array(z.object({ label: z.string(), probability: z.number() })),
});

export const predictResponse = z.object({
  model: z.string(),
  version: z.int(),
  outputs: z
    .record(z.string(), nested)
    .meta({ description: 'Nested arrays by output name. Numbers that JSON cannot say (NaN, ±Infinity) are null.' }),
  predictions: z
    .union([z.array(prediction), z.array(z.array(prediction.extend({ token: z.string().optional() })))])
    .optional()
    .meta({
      description:
        'One for each example, for models that declare their classes; for models that label tokens an array for each example, with one for each of its tokens.',
    }),
});

export const predictQuery = z.strictObject({
  model: nameSchema.optional().meta({ description: 'Name of the model, when neither the path nor the body says it.', example: 'digits' }),
  version: versionText.optional(),
  label: nameSchema.optional().meta({ description: 'Label of a version, instead of `version`.', example: 'stable' }),
});
