import { connect, type Socket } from 'node:net';

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Latencies of the requests, in milliseconds, ascending. */
  readonly latencies: Float64Array;
  /** Requests by HTTP status. */
  readonly statuses: ReadonlyMap<number, number>;
}

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly contentType: string;
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
export async function load(options: LoadOptions): Promise<LoadResult> {
  const head = `POST ${options.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${options.contentType}\r\ncontent-length: ${options.body.length}\r\n\r\n`;
  const request = Buffer.concat([Buffer.from(head), options.body]);
  const latencies: number[] = [];
  const statuses = new Map<number, number>();
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: options.connections }, () =>
      runConnection(options.port, request, startedAt + options.durationMs, (status, ms) => {
        latencies.push(ms);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  return { requestsPerSecond: latencies.length / seconds, latencies: Float64Array.from(latencies).toSorted(), statuses };
}
