import { CATALOGUE, type ErrorCode, type ErrorKind } from './catalogue.ts';

/** One finding inside a rejected request: where it is and what is wrong there. */
export interface ErrorDetail {
  /** Path of the field, e.g. `inputs.image[3]`; empty for the whole body. */
  readonly path: string;
  readonly message: string;
}

interface SlipwayErrorOptions {
  readonly details?: readonly ErrorDetail[];
  /** When the client may try again, in milliseconds from now. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The one error that the core throws. Anything else that surfaces at an edge is a defect and becomes `INTERNAL`. */
export class SlipwayError extends Error {
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[];
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: SlipwayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SlipwayError';
    this.code = code;
    this.details = options.details ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }

  get kind(): ErrorKind {
    return CATALOGUE[this.code].kind;
  }
}

/** Returns `error` itself when it is coded, else an `INTERNAL` error that keeps it as its cause. */
export function toSlipwayError(error: unknown): SlipwayError {
  return error instanceof SlipwayError ? error : new SlipwayError('INTERNAL', 'Internal error.', { cause: error });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
