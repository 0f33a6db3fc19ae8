import type { ErrorCode } from './catalogue.ts';
import { type ErrorDetail, messageOf, SlipwayError } from './slipway-error.ts';

/**
 * An error as plain data for the process border. Structured clone and JSON both lose the own properties or the
 * message of an `Error`, so errors are never posted as they are.
 */
export interface EncodedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: readonly ErrorDetail[] | undefined;
}

/** Flattens anything thrown; what is not coded takes `fallback`. */
export function encodeError(error: unknown, fallback: ErrorCode = 'INTERNAL'): EncodedError {
  if (!(error instanceof SlipwayError)) return { code: fallback, message: messageOf(error) };
  return {
    code: error.code,
    message: error.message,
    ...(error.details.length > 0 && { details: [...error.details] }),
  };
}

export function decodeError(encoded: EncodedError): SlipwayError {
  return new SlipwayError(encoded.code, encoded.message, encoded.details ? { details: encoded.details } : {});
}
