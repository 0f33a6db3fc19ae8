import { Transform } from 'node:stream';
import { SlipwayError } from '../errors/slipway-error.ts';

/** A count of bytes that several streams may share. */
export interface ByteBudget {
  /** Lets bytes through, and fails with BODY_TOO_LARGE at the first one over the limit. */
  pass(): Transform;
}

export function createByteBudget(maxBytes: number): ByteBudget {
  let bytes = 0;
  return {
    pass: () =>
      new Transform({
        transform(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          if (bytes > maxBytes) done(new SlipwayError('BODY_TOO_LARGE', `The upload has more than ${maxBytes} bytes.`));
          else done(null, chunk);
        },
      }),
  };
}
