import type { z } from 'zod';
import { SlipwayError } from '../errors/slipway-error.ts';

/** @throws SlipwayError INVALID_NAME for what the schema does not take */
export function assertName(schema: z.ZodType, value: unknown, what: string): void {
  const { error } = schema.safeParse(value);
  if (error === undefined) return;
  throw new SlipwayError(
    'INVALID_NAME',
    `"${String(value)}" is not allowed as a ${what}: ${error.issues.map(({ message }) => message).join('; ')}.`,
  );
}
