/**
 * The vocabulary of failure inside Slipway. A kind says what went wrong in terms that every protocol knows;
 * the protocols map kinds to their own statuses, so the core never speaks HTTP or gRPC.
 */
export const ERROR_KINDS = [
  'invalid_argument',
  'unauthenticated',
  'permission_denied',
  'not_found',
  'already_exists',
  'failed_precondition',
  'payload_too_large',
  'unsupported_media_type',
  'method_not_allowed',
  'unsupported',
  'quota_exceeded',
  'overloaded',
  'deadline_exceeded',
  'cancelled',
  'unavailable',
  'internal',
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

interface CatalogueEntry {
  readonly kind: ErrorKind;
  /** One sentence for the reference page: when a client meets this code and what it can do. */
  readonly meaning: string;
}

/** Every code that Slipway answers with. The reference page docs/reference/errors.md is generated from it. */
export const CATALOGUE = {
  INVALID_JSON: { kind: 'invalid_argument', meaning: 'The body is not valid JSON; the message gives the byte offset.' },
  INVALID_REQUEST: {
    kind: 'invalid_argument',
    meaning: 'A field is missing, unknown or of the wrong type; `details` names each field.',
  },
  INVALID_TENSOR: {
    kind: 'invalid_argument',
    meaning: 'A tensor is ragged, has an element of the wrong type or out of range, or its data does not fill its shape.',
  },
  INPUT_MISMATCH: {
    kind: 'invalid_argument',
    meaning: "The inputs do not fit the model's signature: a name, a dtype or a dimension differs.",
  },
  OUTPUT_NOT_FOUND: { kind: 'invalid_argument', meaning: 'A requested output is not in the model’s signature.' },
  OUTPUT_MISMATCH: {
    kind: 'invalid_argument',
    meaning: 'The outputs of the model are not what the request asks for: no scores of classes, or not one value for each example.',
  },
  DEVICE_UNAVAILABLE: {
    kind: 'failed_precondition',
    meaning: 'The version asks for a device that is not there, and the setting `devices.onMissing` does not allow another one.',
  },
  DEVICE_OUT_OF_MEMORY: {
    kind: 'overloaded',
    meaning: 'The memory of the GPU does not suffice for the model or the request; the model goes over to the CPU where it may.',
  },
  SIGNATURE_NOT_FOUND: {
    kind: 'failed_precondition',
    meaning: 'The model has no signature of this name; the message tells those that it has.',
  },
  INVALID_IMAGE: { kind: 'invalid_argument', meaning: 'The image cannot be decoded.' },
  IMAGE_TOO_LARGE: {
    kind: 'payload_too_large',
    meaning: 'The image has more pixels than `limits.maxImagePixels` allows; it was refused before it was decoded.',
  },
  BODY_TOO_LARGE: { kind: 'payload_too_large', meaning: 'The body is over its limit; it was refused before it was read whole.' },
  UNSUPPORTED_MEDIA_TYPE: { kind: 'unsupported_media_type', meaning: 'The route does not read this content type.' },
  NO_PREPROCESSING: {
    kind: 'failed_precondition',
    meaning: 'The model does not say in its slipway.json how to read such a body; send its tensors instead.',
  },
  ROUTE_NOT_FOUND: { kind: 'not_found', meaning: 'There is no such route.' },
  METHOD_NOT_ALLOWED: { kind: 'method_not_allowed', meaning: 'The route exists, but not with this method.' },
  MODEL_NOT_FOUND: { kind: 'not_found', meaning: 'There is no model of this name in the model repository.' },
  VERSION_NOT_FOUND: { kind: 'not_found', meaning: 'The model has no such version, or its version policy leaves it out.' },
  LINEAGE_NOT_FOUND: { kind: 'not_found', meaning: 'The slipway.json of the version does not say where it comes from.' },
  ROLLOUT_NOT_FOUND: { kind: 'not_found', meaning: 'No candidate of the model is being rolled out.' },
  REPOSITORY_READ_ONLY: { kind: 'failed_precondition', meaning: 'The folder of the model can’t be written; nothing was changed.' },
  LABEL_NOT_FOUND: { kind: 'not_found', meaning: 'The model has no such label.' },
  VERSION_EXISTS: { kind: 'already_exists', meaning: 'The model has this version already; versions are never overwritten.' },
  MODEL_NOT_READY: {
    kind: 'unavailable',
    meaning: 'The version is loading, restarting or draining; try again after `Retry-After`.',
  },
  MODEL_FAILED: {
    kind: 'failed_precondition',
    meaning: 'The version could not be loaded; the message carries the reason. Mend its files and it loads again.',
  },
  MODEL_UNLOADED: { kind: 'failed_precondition', meaning: 'The model was unloaded by request; load it first.' },
  MODEL_TOO_LARGE: {
    kind: 'failed_precondition',
    meaning: 'The model does not fit into the memory budget of its device beside the pinned models; the message has the figures.',
  },
  MODEL_BUSY: {
    kind: 'failed_precondition',
    meaning: 'Another change of the same model or version is under way; try again when it is done.',
  },
  INVALID_MODEL: { kind: 'invalid_argument', meaning: 'A model file is missing, damaged or not of a known format.' },
  INVALID_MANIFEST: { kind: 'invalid_argument', meaning: 'A slipway.json or slipway-model.json does not follow its schema.' },
  INVALID_NAME: {
    kind: 'invalid_argument',
    meaning: 'A model name, version or label is not allowed: names are letters, digits, `.`, `_` and `-`, 1 to 128 long.',
  },
  INVALID_ARCHIVE: {
    kind: 'invalid_argument',
    meaning: 'An uploaded archive is damaged, or holds links, absolute paths, `..` or a special file.',
  },
  ARCHIVE_TOO_LARGE: {
    kind: 'payload_too_large',
    meaning: 'An uploaded archive unpacks to more bytes or files than the limits allow.',
  },
  WARM_UP_FAILED: {
    kind: 'invalid_argument',
    meaning: 'A recorded request that the version is warmed up with cannot be read, or the model fails on it; the version is not served.',
  },
  DIGEST_MISMATCH: { kind: 'invalid_argument', meaning: 'A file does not have the SHA-256 that the manifest states.' },
  INVALID_SIGNATURE: {
    kind: 'invalid_argument',
    meaning: 'The signature of a version does not fit its files; the message names the file that differs.',
  },
  UNTRUSTED_PACKAGE: {
    kind: 'permission_denied',
    meaning: 'A version is not signed by one of the keys of `packages.requireSignedBy`.',
  },
  INVALID_ROW: {
    kind: 'invalid_argument',
    meaning: 'A row for a model of a table lacks a column, has one too many, or holds an unknown category or a value of the wrong type.',
  },
  DATASET_NOT_FOUND: { kind: 'not_found', meaning: 'There is no dataset of this name or id.' },
  DATASET_EXISTS: { kind: 'already_exists', meaning: 'There is a dataset of this name already; datasets are never overwritten.' },
  INVALID_DATASET: {
    kind: 'invalid_argument',
    meaning:
      'The data cannot be read: a file is damaged or of no known format, or rows do not fit their columns; the message names the place.',
  },
  DATASET_TOO_LARGE: { kind: 'payload_too_large', meaning: 'The data has more rows or columns than the settings under `datasets` allow.' },
  COLUMN_NOT_FOUND: { kind: 'invalid_argument', meaning: 'A column is named that the dataset does not have.' },
  UNSUITABLE_DATA: {
    kind: 'failed_precondition',
    meaning: 'The dataset cannot be used in this way: one class only, a label without training rows, a column of the wrong type.',
  },
  UPLOAD_NOT_FOUND: { kind: 'not_found', meaning: 'There is no resumable upload of this id; it may have expired.' },
  UPLOAD_CONFLICT: {
    kind: 'failed_precondition',
    meaning: 'The resumable upload is not at the byte that the request names, is being sent to, or has not come whole; ask where it is.',
  },
  DATASET_READER_FAILED: {
    kind: 'internal',
    meaning: 'The process that reads an uploaded dataset ended before its time; nothing was kept.',
  },
  INVALID_ARCHITECTURE: {
    kind: 'invalid_argument',
    meaning: 'The layers of a model that is to be trained do not fit together, or not the data; the message names the layer and why.',
  },
  TRAINING_DIVERGED: {
    kind: 'failed_precondition',
    meaning: 'The loss of a training became infinite or no number; the message names the step.',
  },
  TECHNIQUE_INAPPLICABLE: {
    kind: 'failed_precondition',
    meaning: 'A technique of an optimization job cannot be used on this model; the row of the variant says why.',
  },
  JOB_NOT_FOUND: { kind: 'not_found', meaning: 'There is no job of this id.' },
  JOB_NOT_ENDED: { kind: 'failed_precondition', meaning: 'Only a job that has ended can be deleted; cancel it first.' },
  JOB_NOT_RESUMABLE: { kind: 'failed_precondition', meaning: 'Only a job that was cancelled or has failed can be resumed.' },
  JOB_QUEUE_FULL: { kind: 'overloaded', meaning: 'As many jobs are queued as `jobs.maxQueued` allows; try again after `Retry-After`.' },
  IDEMPOTENCY_CONFLICT: { kind: 'already_exists', meaning: 'The idempotency key belongs to another request already.' },
  JOB_CRASHED: {
    kind: 'internal',
    meaning: 'The process of a job ended before its time; the job can be resumed from its last checkpoint.',
  },
  JOB_OUT_OF_MEMORY: { kind: 'failed_precondition', meaning: 'A job needs more memory than `jobs.maxMemoryBytes` allows.' },
  JOB_TIMEOUT: { kind: 'deadline_exceeded', meaning: 'A job took longer than `jobs.maxDurationMs` allows; it can be resumed.' },
  ENGINE_UNAVAILABLE: {
    kind: 'unsupported',
    meaning: 'No engine on this machine can run the format, operator or dtype; the message names it.',
  },
  COMPILE_FAILED: {
    kind: 'unsupported',
    meaning: 'The model cannot be compiled to one ONNX graph; the message names the layer, what is wrong and what can be done.',
  },
  NOT_SUPPORTED: { kind: 'unsupported', meaning: 'The protocol has such a feature, but Slipway does not; the message names it.' },
  INFERENCE_FAILED: { kind: 'internal', meaning: 'The engine failed while it ran the model on these inputs.' },
  RUNNER_CRASHED: {
    kind: 'unavailable',
    meaning: 'The process that runs the model ended during the request; the request may be sent again.',
  },
  RUNNER_UNRESPONSIVE: {
    kind: 'unavailable',
    meaning: 'The process that runs the model stopped answering and was ended; the request may be sent again.',
  },
  QUOTA_EXCEEDED: {
    kind: 'quota_exceeded',
    meaning: 'The client is over what the settings under `clients` allow one client; try again after `Retry-After`.',
  },
  SERVER_BUSY: {
    kind: 'overloaded',
    meaning:
      'More requests arrive than the server can answer in their time; this one was refused before it was decoded. Try again after `Retry-After`.',
  },
  QUEUE_FULL: { kind: 'overloaded', meaning: 'The queue of the model is full; try again after `Retry-After`.' },
  DEADLINE_UNREACHABLE: {
    kind: 'overloaded',
    meaning: 'So much waits for the model that the answer would come after the request’s time; it was refused at once.',
  },
  DEADLINE_EXCEEDED: { kind: 'deadline_exceeded', meaning: 'The request was not answered within its time.' },
  REQUEST_CANCELLED: { kind: 'cancelled', meaning: 'The client went away before the answer.' },
  SHUTTING_DOWN: { kind: 'unavailable', meaning: 'The server is stopping and takes no new work.' },
  STORAGE_FULL: { kind: 'unavailable', meaning: 'The disk is full; nothing was changed.' },
  INTERNAL: { kind: 'internal', meaning: 'A defect in Slipway; the log has the cause under the same request id.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof CATALOGUE;
