import { z } from 'zod';
import type { ErrorKind } from '../../../errors/catalogue.ts';
import type { SlipwayError } from '../../../errors/slipway-error.ts';
import { retryAfterHeaders } from '../../http/error-body.ts';
import type { ErrorAnswer, ErrorDescription } from '../../http/route.ts';

/**
 * The HTTP status of each kind of error in V2, which is Triton's choice where it has one: 404, 501, 503, 500, and 400
 * for all that is wrong with the request or the state of the model. A request that expires is 503 there like one that
 * finds the queue full, since both may be sent again. What Triton has no kind for has the status of HTTP itself.
 */
export const V2_STATUS = {
  invalid_argument: 400,
  already_exists: 400,
  failed_precondition: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  quota_exceeded: 429,
  cancelled: 499,
  internal: 500,
  unsupported: 501,
  overloaded: 503,
  deadline_exceeded: 503,
  unavailable: 503,
} as const satisfies Record<ErrorKind, number>;

/** How openapi.yaml describes the errors of V2. */
export const V2_ERROR: ErrorDescription = {
  statuses: V2_STATUS,
  schema: z.object({ error: z.string() }).meta({ id: 'V2Error' }),
};

/** An error of V2 has one key. */
export function encodeV2Error(error: SlipwayError): ErrorAnswer {
  return {
    status: V2_STATUS[error.kind],
    headers: { 'content-type': 'application/json', ...retryAfterHeaders(error) },
    body: JSON.stringify({ error: error.message }),
  };
}
