import { connect, type Socket } from 'node:net';
import { closedLoop, type LoadResult } from './closed-loop.ts';

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly connections: number;
  readonly durationMs: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * One keep-alive connection that sends the same request again and again, one at a time. It speaks just enough
 * HTTP/1.1 for that (RFC 9112: status line, Content-Length), so that the client costs little beside the server.
 */
function runConnection(port: number, request: Buffer, until: number, onAnswer: (status: number, ms: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received: Buffer = Buffer.alloc(0);
    let sentAt = 0;
    const sendNext = (): void => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.once('connect', sendNext);
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const end = received.indexOf(HEAD_END);
      if (end === -1) return;
      const head = received.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (length === undefined) {
        socket.destroy(new Error(`an answer without Content-Length: ${head}`));
        return;
      }
      if (received.length < end + 4 + Number(length)) return;
      received = Buffer.alloc(0);
      const now = performance.now();
      onAnswer(Number(head.slice(9, 12)), now - sentAt);
      if (now < until) sendNext();
      else socket.end(() => resolve());
    });
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/** Loads one address over several connections in a closed loop. */
export function load({ port, path, headers, body, connections, durationMs }: LoadOptions): Promise<LoadResult> {
  const fields = Object.entries({ host: 'localhost', 'content-length': String(body.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const request = Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${fields.join('')}\r\n`), body]);
  return closedLoop(connections, durationMs, (until, onAnswer) => runConnection(port, request, until, onAnswer));
}
