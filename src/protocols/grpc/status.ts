import { Metadata, type StatusObject } from '@grpc/grpc-js';
import type { SlipwayError } from '../../errors/slipway-error.ts';
import { WireWriter } from '../../protobuf/wire-writer.ts';
import { GRPC_STATUS } from '../grpc-status.ts';

/** The message travels in a header, and clients refuse headers of more than 8 KiB; escaping may triple it. */
const MOST_CHARACTERS = 2_000;

function shorten(message: string): string {
  return message.length <= MOST_CHARACTERS ? message : `${message.slice(0, MOST_CHARACTERS)}…`;
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** A `google.rpc.Status` with a `google.rpc.RetryInfo` among its details (google/rpc/status.proto, error_details.proto). */
function encodeDetails(code: number, message: string, retryAfterMs: number): Buffer {
  const delay = new WireWriter().int(1, Math.floor(retryAfterMs / 1_000)).int(2, (retryAfterMs % 1_000) * 1e6);
  const retryInfo = new WireWriter().message(1, delay);
  const any = new WireWriter().string(1, RETRY_INFO).bytes(2, retryInfo.finish());
  return new WireWriter().int(1, code).string(2, message).message(3, any).finish();
}

/**
 * An error as the status of a call. The trailer `slipway-error-code` has the code of the catalogue; when a client may try
 * again is told to those that retry by a policy (gRPC retry design, A6) and to those that read the details of a status.
 */
export function encodeStatus(error: SlipwayError): Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set('slipway-error-code', error.code);
  const code = GRPC_STATUS[error.kind];
  // Half of a surrogate pair can't be escaped.
  const message = shorten(error.message).toWellFormed();
  if (error.retryAfterMs !== undefined) {
    const retryAfterMs = Math.ceil(error.retryAfterMs);
    metadata.set('grpc-retry-pushback-ms', String(retryAfterMs));
    metadata.set('grpc-status-details-bin', encodeDetails(code, message, retryAfterMs));
  }
  return { code, details: message, metadata };
}
