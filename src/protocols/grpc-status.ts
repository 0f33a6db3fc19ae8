import type { ErrorKind } from '../errors/catalogue.ts';

/** The gRPC status code of each kind of error; the numbers are those of the gRPC core specification. */
export const GRPC_STATUS = {
  cancelled: 1, // CANCELLED
  invalid_argument: 3, // INVALID_ARGUMENT
  unsupported_media_type: 3, // INVALID_ARGUMENT
  deadline_exceeded: 4, // DEADLINE_EXCEEDED
  not_found: 5, // NOT_FOUND
  already_exists: 6, // ALREADY_EXISTS
  permission_denied: 7, // PERMISSION_DENIED
  payload_too_large: 8, // RESOURCE_EXHAUSTED
  quota_exceeded: 8, // RESOURCE_EXHAUSTED
  failed_precondition: 9, // FAILED_PRECONDITION
  method_not_allowed: 12, // UNIMPLEMENTED
  unsupported: 12, // UNIMPLEMENTED
  internal: 13, // INTERNAL
  overloaded: 14, // UNAVAILABLE: retry, as Triton answers a full queue
  unavailable: 14, // UNAVAILABLE
  unauthenticated: 16, // UNAUTHENTICATED
} as const satisfies Record<ErrorKind, number>;
