import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { ErrorKind } from '../../errors/catalogue.ts';
import type { Caller, InferenceTimes } from '../../inference/types.ts';
import type { SlipwayError } from '../../errors/slipway-error.ts';

/** What a route reads. `bytes` is read whole, up to its limit; `stream` is handed over as it arrives. */
export interface BodyDefinition {
  readonly kind: 'bytes' | 'stream';
  /** Accepted media types, e.g. `application/json` or `image/*`, each with its schema for the OpenAPI document. */
  readonly content: Readonly<Record<string, { readonly schema?: z.ZodType; readonly description?: string; readonly example?: unknown }>>;
  readonly maxBytes: number;
  readonly required?: boolean;
}

export interface ResponseDefinition {
  readonly description: string;
  /** One, or each that an answer may have. */
  readonly contentType?: string | string[];
  readonly schema?: z.ZodType;
  readonly example?: unknown;
  /** Whether it may come as bytes (`application/octet-stream`), too. */
  readonly alsoBinary?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly payload?: string | Buffer | Readable;
  /** Of an answer that a model gave: whose, and where its time went. It becomes the header `server-timing`. */
  readonly inference?: InferenceTimes;
}

export interface RouteContext<Params, Query> {
  readonly params: Params;
  readonly query: Query;
  /** The whole body; empty unless the route's body is of kind `bytes`. */
  readonly body: Buffer;
  /**
   * The body as it arrives, for routes whose body is of kind `stream`; opened when it is first asked for. It fails with
   * REQUEST_CANCELLED when the client goes away before its end.
   */
  readonly stream: Readable;
  /** By their names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Media type of the body in lower case without parameters; empty when the client sent none. */
  readonly mediaType: string;
  /** Aborted when the client goes away before its answer. For what needs an AbortSignal; else there is `caller`. */
  readonly signal: AbortSignal;
  /** For the data plane. Its signal costs a fraction of the other; it is made when the caller is asked for. */
  readonly caller: Caller;
}

/**
 * One operation of an HTTP protocol: the schemas that check its input are those that describe it in openapi.yaml.
 * Paths are written as OpenAPI writes them, `/models/{name}`.
 */
export interface RouteDefinition<Params = unknown, Query = unknown> {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  /** Headers of the request that it looks at beside those of HTTP itself. They describe; whoever reads a header checks it. */
  readonly headers?: z.ZodType;
  readonly body?: BodyDefinition;
  readonly responses: Readonly<Record<number, ResponseDefinition>>;
  /** Runs a model: its requests count for the quotas of clients, and are refused early while the server is busy. */
  readonly admission?: true;
  /** Left out of openapi.yaml: the route only tells clients of another server that there is no such thing here. */
  readonly undocumented?: boolean;
  /** Statuses of the coded errors that the route can answer. */
  readonly errors: readonly number[];
  handle(context: RouteContext<Params, Query>): Promise<RouteAnswer>;
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The request that an error answers. */
export interface FailedRequest {
  readonly requestId: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
}

/** What the OpenAPI document says of a protocol's errors. */
export interface ErrorDescription {
  readonly statuses: Readonly<Record<ErrorKind, number>>;
  readonly schema: z.ZodType;
}

/** A wire protocol over HTTP: its routes, and how it says that something went wrong. */
export interface HttpProtocol {
  /** The tags of its routes, each with a description. */
  readonly tags: Readonly<Record<string, string>>;
  readonly routes: readonly RouteDefinition[];
  /** Errors under these paths, unknown routes included, are answered in this protocol's shape. */
  readonly prefixes: readonly string[];
  encodeError(error: SlipwayError, request: FailedRequest): ErrorAnswer;
  readonly error: ErrorDescription;
}

/** Keeps the types of a definition's schemas and handler together. */
export function defineRoute<Params = unknown, Query = unknown>(definition: RouteDefinition<Params, Query>): RouteDefinition {
  return definition;
}

export function json(status: number, value: unknown, headers?: Readonly<Record<string, string>>): RouteAnswer {
  return { status, contentType: 'application/json; charset=utf-8', payload: JSON.stringify(value), ...(headers && { headers }) };
}
