import { SlipwayError } from '../errors/slipway-error.ts';

/**
 * The error of a document that stops being JSON.
 * @param offset the byte at which it does.
 * @param length bytes of the document.
 * @param expected what could have stood there, e.g. `a digit`.
 */
export function jsonError(offset: number, length: number, expected: string): SlipwayError {
  const where = offset < length ? `at byte ${offset}` : `at byte ${length}, where the document ends`;
  return new SlipwayError('INVALID_JSON', `The body is not valid JSON: expected ${expected} ${where}.`);
}
