import { z } from 'zod';
import { DTYPES } from '../../../tensor/dtype.ts';
import { modelParams } from '../../http/path-params.ts';

/** Parameters are an open set: each part of the protocol reads those that it knows and leaves the others. */
const parameters = z
  .record(z.string(), z.unknown())
  .default({})
  .meta({ description: 'Parameters of the protocol and its extensions; unknown ones are ignored.' });

/** Unlike elsewhere a version may be any text here; `modelReference` reads it. */
export const versionParams = modelParams.extend({
  version: z.string().meta({ description: 'A version: a positive whole number.', example: '1' }),
});

/** An input beside its `data`, which is read by a scanner, not by a schema. */
export const inputSchema = z.object({
  name: z.string(),
  datatype: z.enum(DTYPES),
  shape: z.array(z.int('must be a whole number').nonnegative('must be 0 or more')),
  parameters: parameters.meta({ description: '`binary_data_size` (bytes) for a tensor that follows the JSON.' }),
});

const outputSchema = z.object({
  name: z.string(),
  parameters: parameters.meta({ description: '`binary_data` (true, false) and `classification` (a count).' }),
});

/** An inference request beside its inputs. */
export const inferEnvelope = z.object({
  id: z.string().optional(),
  parameters: parameters.meta({ description: '`timeout` (microseconds) and `binary_data_output` (true, false).' }),
  outputs: z.array(outputSchema).default([]),
});

const data = z.any().meta({ description: 'The elements, flat in row-major order or nested in the shape of the tensor.' });

/** The whole JSON body, for the OpenAPI document. */
export const inferBody = inferEnvelope.extend({ inputs: z.array(inputSchema.extend({ data: data.optional() })) });

export const inferAnswer = z.object({
  id: z.string().optional(),
  model_name: z.string(),
  model_version: z.string(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DTYPES),
      shape: z.array(z.int()),
      parameters: z.object({ binary_data_size: z.int() }).optional(),
      data: data.optional(),
    }),
  ),
});

const tensorMetadata = z.object({ name: z.string(), datatype: z.enum(DTYPES), shape: z.array(z.int()) });

export const modelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()).meta({ description: 'The versions that answer now.' }),
  platform: z.string(),
  inputs: z.array(tensorMetadata),
  outputs: z.array(tensorMetadata),
});

export const serverMetadata = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });

export const indexBody = z.object({ ready: z.boolean().default(false) });

export const indexAnswer = z.array(
  z.object({ name: z.string(), version: z.string(), state: z.enum(['READY', 'LOADING', 'UNLOADING', 'UNAVAILABLE']), reason: z.string() }),
);

export const repositoryBody = z.object({ parameters });
