import type { ErrorCode, ErrorKind } from '../../errors/catalogue.ts';

/** For each kind of error one that a client may meet, for the OpenAPI document: its code and its message. */
export const ERROR_EXAMPLES: Readonly<Record<ErrorKind, readonly [code: ErrorCode, message: string] | undefined>> = {
  invalid_argument: ['INPUT_MISMATCH', 'inputs.image has the shape [1, 1, 2, 2]; the model needs [-1, 1, 28, 28].'],
  unauthenticated: undefined,
  permission_denied: ['UNTRUSTED_PACKAGE', 'The version is not signed; only signed versions are taken here.'],
  not_found: ['MODEL_NOT_FOUND', 'There is no model "digit". There are "digits".'],
  already_exists: ['VERSION_EXISTS', 'Version 1 of model "digits" is there already; versions are never overwritten.'],
  failed_precondition: ['MODEL_UNLOADED', 'Model "digits" was unloaded by request; load it first.'],
  payload_too_large: ['BODY_TOO_LARGE', 'The body has 67108865 bytes; this route takes at most 67108864.'],
  unsupported_media_type: ['UNSUPPORTED_MEDIA_TYPE', 'This route does not read text/plain; send one of: application/json.'],
  method_not_allowed: ['METHOD_NOT_ALLOWED', '/predict does not take GET; it takes POST.'],
  unsupported: ['ENGINE_UNAVAILABLE', 'saved_model.pb: a SavedModel needs the native TensorFlow engine, which this server does not have.'],
  quota_exceeded: ['QUOTA_EXCEEDED', 'This client is over its 100 requests a second.'],
  overloaded: ['QUEUE_FULL', 'The queue of this model is full (1000 requests wait).'],
  deadline_exceeded: ['DEADLINE_EXCEEDED', 'The request was not answered within its time.'],
  cancelled: ['REQUEST_CANCELLED', 'The client went away before the answer.'],
  unavailable: ['MODEL_NOT_READY', 'Version 1 of model "digits" is loading.'],
  internal: ['INTERNAL', 'Internal error.'],
};
