import { z } from 'zod';
import type { ErrorKind } from '../../../errors/catalogue.ts';
import type { SlipwayError } from '../../../errors/slipway-error.ts';
import { retryAfterHeaders } from '../../http/error-body.ts';
import type { ErrorAnswer, ErrorDescription, FailedRequest } from '../../http/route.ts';

/**
 * The HTTP status of each kind of error: TensorFlow Serving's for the status that its gRPC side has. What it has no kind
 * for has the status of HTTP itself.
 */
const TENSORFLOW_STATUS = {
  invalid_argument: 400,
  failed_precondition: 400,
  // To TensorFlow Serving a path or method that it does not know is a malformed request.
  method_not_allowed: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  quota_exceeded: 429,
  cancelled: 499,
  internal: 500,
  unsupported: 501,
  overloaded: 503,
  unavailable: 503,
  deadline_exceeded: 504,
} as const satisfies Record<ErrorKind, number>;

/** How openapi.yaml describes the errors. */
export const TENSORFLOW_ERROR: ErrorDescription = {
  statuses: TENSORFLOW_STATUS,
  schema: z.object({ error: z.string() }).meta({ id: 'TensorFlowServingError' }),
};

/** An error has one key. */
export function encodeTensorFlowError(error: SlipwayError, { method, path }: FailedRequest): ErrorAnswer {
  // A GET of a verb is no model whose name has a colon, as the routes of this server take it for.
  const isMalformed = error.code === 'ROUTE_NOT_FOUND' || error.code === 'METHOD_NOT_ALLOWED' || (method === 'GET' && path.includes(':'));
  return {
    status: isMalformed ? 400 : TENSORFLOW_STATUS[error.kind],
    headers: { 'content-type': 'application/json', ...retryAfterHeaders(error) },
    body: JSON.stringify({ error: isMalformed ? `Malformed request: ${method} ${path}` : error.message }),
  };
}
