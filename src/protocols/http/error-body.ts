import { z } from 'zod';
import { SlipwayError, toSlipwayError } from '../../errors/slipway-error.ts';
import { HTTP_STATUS } from '../http-status.ts';
import type { ErrorAnswer, ErrorDescription, FailedRequest } from './route.ts';

/** When a client may try again, for errors that know. */
export function retryAfterHeaders({ retryAfterMs }: SlipwayError): Record<string, string> {
  // Retry-After counts whole seconds (RFC 9110 §10.2.3); rounded up, so that nobody comes back too early.
  return retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
}

const errorAnswer = z
  .object({
    error: z.object({
      code: z.string().describe('A code of the error catalogue, e.g. MODEL_NOT_FOUND.'),
      message: z.string(),
      details: z.array(z.object({ path: z.string(), message: z.string() })),
      requestId: z.string(),
    }),
  })
  .meta({ id: 'Error' });

/** How openapi.yaml describes the errors of the native API. */
export const NATIVE_ERROR: ErrorDescription = { statuses: HTTP_STATUS, schema: errorAnswer };

/** The one shape of every error of the native API. What went wrong inside is logged, never sent. */
export function encodeErrorAnswer(error: SlipwayError, { requestId }: FailedRequest): ErrorAnswer {
  const headers = { 'content-type': 'application/json; charset=utf-8', ...retryAfterHeaders(error) };
  const { code, message, details } = error;
  return { status: HTTP_STATUS[error.kind], headers, body: JSON.stringify({ error: { code, message, details, requestId } }) };
}

/** What Fastify itself refuses, by its own codes. Everything else that is not coded is a defect. */
const FASTIFY_CODES: Readonly<Record<string, (message: string) => SlipwayError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new SlipwayError('BODY_TOO_LARGE', 'The body is larger than this route allows.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new SlipwayError('INVALID_REQUEST', 'The body does not have the length that its Content-Length states.'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => new SlipwayError('UNSUPPORTED_MEDIA_TYPE', 'The Content-Type header is not a media type.'),
  FST_ERR_BAD_URL: () => new SlipwayError('INVALID_REQUEST', 'The path is not a valid URL path.'),
  FST_ERR_MAX_PARAM_LENGTH: () => new SlipwayError('INVALID_NAME', 'A name in the path is too long.'),
  FST_ERR_ASYNC_CONSTRAINT: (message) => new SlipwayError('INVALID_REQUEST', message),
};

/** Turns what Fastify or a handler threw into a coded error. */
export function toCodedError(error: unknown): SlipwayError {
  if (error instanceof SlipwayError) return error;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    const make = FASTIFY_CODES[error.code];
    if (make !== undefined) return make(error.message);
    if (error.code === 'ECONNRESET' || error.code === 'ERR_STREAM_PREMATURE_CLOSE') {
      return new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.', { cause: error });
    }
  }
  return toSlipwayError(error);
}
