import type { z } from 'zod';
import { checkSchema, findingText } from '../../errors/check-schema.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';

/**
 * Checks one part of a request by its schema.
 * @param root name of the part in error details, e.g. `query`; empty for the body.
 * @throws SlipwayError INVALID_REQUEST with one detail for each finding.
 */
export function checkInput<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const checked = checkSchema(schema, value, root);
  if ('data' in checked) return checked.data;
  throw new SlipwayError('INVALID_REQUEST', `${findingText(checked.findings[0])}.`, { details: checked.findings });
}
