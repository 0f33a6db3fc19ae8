import type { IncomingMessage } from 'node:http';
import { SlipwayError } from '../../errors/slipway-error.ts';

/**
 * Reads a body whole. A body that comes in one piece, as most do, is handed on as it is; copies of it would be most of
 * the memory that a request takes.
 * @throws SlipwayError BODY_TOO_LARGE as soon as more than `maxBytes` have come; REQUEST_CANCELLED when it breaks off.
 */
export function collectBody(stream: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let rest: Buffer[] | undefined;
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        stream.off('data', onData);
        stream.pause();
        first = rest = undefined;
        reject(new SlipwayError('BODY_TOO_LARGE', `The body has more than the ${maxBytes} bytes that this route takes.`));
      } else if (first === undefined) first = chunk;
      else (rest ??= [first]).push(chunk);
    };
    stream.on('data', onData);
    stream.once('end', () => resolve(rest === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(rest, bytes)));
    const onBroken = (): void => reject(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the end of the body.'));
    stream.once('error', onBroken);
    stream.once('close', () => {
      if (!stream.complete) onBroken();
    });
  });
}
