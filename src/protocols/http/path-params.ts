import { z } from 'zod';
import { nameSchema } from '../../packages/manifest.ts';

/** Version numbers in paths and query strings arrive as text. */
export const versionText = z
  .string()
  .regex(/^[1-9][0-9]{0,14}$/, 'must be a positive whole number')
  .transform(Number)
  .meta({ description: 'A version: a positive whole number.', example: '1' });

export const modelParams = z.object({ name: nameSchema.meta({ description: 'Name of the model.', example: 'digits' }) });
export const versionParams = modelParams.extend({ version: versionText });
export const labelParams = modelParams.extend({ label: nameSchema.meta({ description: 'A label of a version.', example: 'stable' }) });
