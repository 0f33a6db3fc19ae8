import { Agent, request as send } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface HttpClient {
  /** @throws Error when no answer comes within the time. */
  request(method: string, path: string, body?: Buffer | string, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  close(): void;
}

/** Longest wait for an answer, in milliseconds. What is not answered by then hangs. */
const ANSWER_MS = 20_000;

export function createHttpClient(address: string): HttpClient {
  const { hostname, port } = new URL(address);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const once = (method: string, path: string, body: Buffer | string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const length = { 'content-length': String(Buffer.byteLength(body)) };
      const outgoing = send({ agent, hostname, port, method, path, headers: { ...length, ...headers }, timeout: ANSWER_MS }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }));
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path} within ${ANSWER_MS} ms`)));
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  return {
    async request(method, path, body = '', headers = {}) {
      try {
        return await once(method, path, body, headers);
      } catch (error) {
        // A server may end an idle connection at any time; the request that met this was not read (RFC 9112 §9.3.1).
        if (!(error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE'))) throw error;
        return once(method, path, body, headers);
      }
    },
    close: () => agent.destroy(),
  };
}
