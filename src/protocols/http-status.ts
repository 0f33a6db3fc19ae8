import type { ErrorKind } from '../errors/catalogue.ts';

/** The HTTP status of each kind of error, for the native API. 499 is nginx's "client closed request". */
export const HTTP_STATUS = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  method_not_allowed: 405,
  already_exists: 409,
  failed_precondition: 409,
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
