import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a client does for a while: as much as so many connections carry one request after the other, or so many a second. */
export interface Phase {
  readonly durationMs: number;
  readonly load: { readonly connections: number } | { readonly requestsPerSecond: number };
}

export interface PhaseResult {
  readonly seconds: number;
  /** Requests by what became of them: the status of an answer in time, or what else happened. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Of the answers with status 200, from when their requests were to be sent by the schedule, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The same from when they were sent until the client had last found nothing: what it was late with itself is left out. */
  readonly serverP99Ms: number;
  /** How late the client itself was with nearly every request, in milliseconds. */
  readonly lagP99Ms: number;
  /** When the last request was due that was not answered in time with 200, in milliseconds from the start of the phase. */
  readonly lastFailureMs: number;
}

export interface ClientOptions {
  readonly port: number;
  /** The bytes of the request, in base64. */
  readonly request: string;
  /** Requests that have no answer by then are given up; their connections are free again once it comes. */
  readonly deadlineMs: number;
  /** Opened before the first phase. */
  readonly connections: number;
  /** With so many open and all of them waiting, a request is not sent. */
  readonly maxConnections: number;
  readonly phases: readonly Phase[];
}

const PROGRAM = fileURLToPath(new URL('./steady-client.ts', import.meta.url));

/** An HTTP/1.1 request as bytes. */
export function requestBytes(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Buffer {
  const fields = Object.entries({ host: 'localhost', 'content-length': String(body.length), ...headers });
  return Buffer.concat([
    Buffer.from(`POST ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
    body,
  ]);
}

/** Loads a server from a process of its own, phase after phase without a pause. */
export function steadyLoad({ request, ...options }: Omit<ClientOptions, 'request'> & { readonly request: Buffer }): Promise<PhaseResult[]> {
  const client = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  client.send({ ...options, request: request.toString('base64') } satisfies ClientOptions);
  return new Promise((resolve, reject) => {
    client.once('message', (results) => resolve(results as PhaseResult[]));
    client.once('exit', (code) => reject(new Error(`the client ended with status ${code}`)));
  });
}
