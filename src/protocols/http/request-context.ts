import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Caller } from '../../inference/types.ts';
import type { Cancellation } from '../../scheduler/types.ts';
import { createCancellation } from '../cancellation.ts';
import type { HeadCaller } from './caller.ts';
import type { RouteContext } from './route.ts';
import { openBody } from './unread-body.ts';

/** A media type in lower case without its parameters; empty for none. */
export function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined) return '';
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** Calls back when the client goes away before its answer is out. */
function onGone(response: ServerResponse, listener: () => void): void {
  response.on('close', () => {
    if (!response.writableFinished) listener();
  });
}

function signalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  onGone(response, () => controller.abort());
  return controller.signal;
}

function cancellationOf(response: ServerResponse): Cancellation {
  const cancellation = createCancellation();
  onGone(response, cancellation.abort);
  return cancellation;
}

/** A request as its route sees it. A class, so that what most routes never ask for costs them no closures. */
export class RequestContext implements RouteContext<unknown, unknown> {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: Buffer;
  readonly headers: IncomingHttpHeaders;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #caller: HeadCaller;

  constructor(request: IncomingMessage, response: ServerResponse, caller: HeadCaller, body: Buffer, params: unknown, query: unknown) {
    this.#caller = caller;
    this.params = params;
    this.query = query;
    this.body = body;
    this.headers = request.headers;
    this.#request = request;
    this.#response = response;
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return typeof value === 'string' ? value : value?.join(',');
  }

  get mediaType(): string {
    return mediaTypeOf(this.headers['content-type']);
  }

  get stream(): Readable {
    return openBody(this.#request);
  }

  get signal(): AbortSignal {
    return signalOf(this.#response);
  }

  get caller(): Caller {
    const { client, deadline } = this.#caller;
    return { client, deadline, signal: cancellationOf(this.#response), head: this };
  }
}
