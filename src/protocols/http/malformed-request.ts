import { maxHeaderSize, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { HttpProtocol } from './route.ts';

/** Why Node's parser gave a request up, by its code. */
function problemOf({ code, message, reason }: NodeJS.ErrnoException & { reason?: string }, arrivalMs: number): string {
  if (code === 'HPE_HEADER_OVERFLOW') return `The headers of the request have more than ${maxHeaderSize} bytes.`;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return `The request did not arrive whole within ${arrivalMs} ms.`;
  return `The request is not valid HTTP: ${reason ?? message.replace(/^Parse Error: /, '')}.`;
}

/** Answers what is no HTTP request in the shape of a protocol's errors, and ends the connection. */
export function refuseMalformed(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  { protocol, requestId, arrivalMs }: { protocol: HttpProtocol; requestId: string; arrivalMs: number },
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = new SlipwayError('INVALID_REQUEST', problemOf(error, arrivalMs));
  const { status, headers, body } = protocol.encodeError(refusal, { requestId, method: '', path: '' });
  const fields = Object.entries({
    ...headers,
    'x-request-id': requestId,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`, () => socket.destroy());
}
