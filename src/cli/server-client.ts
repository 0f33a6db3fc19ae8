import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../errors/slipway-error.ts';
import { withoutCredentials } from './server-arguments.ts';

/** What a server answered instead of what was asked for, or that there is none. */
export class ApiError extends Error {
  /** The code of the error; undefined when no server answered. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

export interface ServerAddress {
  /** E.g. `http://localhost:8080`. */
  readonly server: string;
  /** Sent with each request, e.g. for a proxy in front of the server. */
  readonly headers: Readonly<Record<string, string>>;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable | string;
  readonly signal?: AbortSignal;
}

/** Requests to a Slipway server. Every function throws `ApiError`. */
export interface ServerClient {
  /** An answer with a status below 300, its body not read yet. */
  send(path: string, sent?: Sent): Promise<IncomingMessage>;
  json<T>(path: string, sent?: Sent): Promise<T>;
}

export function createServerClient({ server, headers: always }: ServerAddress): ServerClient {
  const shown = withoutCredentials(server);

  async function send(path: string, { method = 'GET', headers, body, signal }: Sent = {}): Promise<IncomingMessage> {
    const url = new URL(server.replace(/\/$/, '') + path);
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, { method, headers: { ...always, ...headers }, signal });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).once('error', reject);
    });
    // A server that refuses a body answers before it has come as a whole; what then breaks is of no interest.
    if (typeof body === 'object') pipeline(body, request).catch(() => {});
    else request.end(body);
    const answer = await answered.catch((error: unknown) => {
      signal?.throwIfAborted();
      const { code } = error as NodeJS.ErrnoException;
      throw new ApiError(`There is no answer from ${shown}: ${messageOf(error) || (code ?? 'the connection failed')}.`);
    });
    if (answer.statusCode! < 300) return answer;
    throw await errorOf(answer);
  }

  async function errorOf(answer: IncomingMessage): Promise<ApiError> {
    const text = (await buffer(answer)).toString();
    try {
      const { error } = JSON.parse(text) as { error: { code: string; message: string } };
      return new ApiError(`${error.code}: ${error.message}`, error.code);
    } catch {
      return new ApiError(`${shown} answered with the status ${answer.statusCode}; is it a Slipway server?`);
    }
  }

  async function json<T>(path: string, sent?: Sent): Promise<T> {
    return JSON.parse((await buffer(await send(path, sent))).toString()) as T;
  }

  return { send, json };
}
