import type { z } from 'zod';
import { type ErrorDetail, SlipwayError } from '../../errors/slipway-error.ts';

function pathText(root: string, path: readonly PropertyKey[]): string {
  let text = root;
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${String(part)}`;
  return text;
}

/**
 * Checks one part of a request by its schema.
 * @param root name of the part in error details, e.g. `query`; empty for the body.
 * @throws SlipwayError INVALID_REQUEST with one detail for each finding.
 */
export function checkInput<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const details: ErrorDetail[] = result.error.issues.map((issue) => ({ path: pathText(root, issue.path), message: issue.message }));
  const { path, message } = details[0]!;
  throw new SlipwayError('INVALID_REQUEST', path === '' ? message : `${path}: ${message}`, { details });
}
