import { Metadata, type StatusObject } from '@grpc/grpc-js';
import type { SlipwayError } from '../../errors/slipway-error.ts';
import { GRPC_STATUS } from '../grpc-status.ts';

/** The message travels in a header, and clients refuse headers of more than 8 KiB; escaping may triple it. */
const MOST_CHARACTERS = 2_000;

function shorten(message: string): string {
  return message.length <= MOST_CHARACTERS ? message : `${message.slice(0, MOST_CHARACTERS)}…`;
}

/** An error as the status of a call. The trailer `slipway-error-code` has the code of the catalogue. */
export function encodeStatus(error: SlipwayError): Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set('slipway-error-code', error.code);
  // When clients that retry by a policy are to try again (gRPC retry design, A6).
  if (error.retryAfterMs !== undefined) metadata.set('grpc-retry-pushback-ms', String(Math.ceil(error.retryAfterMs)));
  // Half of a surrogate pair can't be escaped.
  return { code: GRPC_STATUS[error.kind], details: shorten(error.message).toWellFormed(), metadata };
}
