import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Logger } from '../../observability/log.ts';
import { checkInput } from './check-input.ts';
import { collectBody } from './collect-body.ts';
import { toCodedError } from './error-body.ts';
import { refuseMalformed } from './malformed-request.ts';
import { fastifyPath, pathPattern } from './path.ts';
import type { HttpProtocol, OnInference, RouteAnswer, RouteDefinition } from './route.ts';
import { askForBody, createLingering, type Lingering, openBody } from './unread-body.ts';

export interface HttpServerOptions {
  readonly logger: Logger;
  /** As the setting `limits.requestArrivalMs`. */
  readonly requestArrivalMs: number;
  /** At least one; the first answers for paths that have no protocol's prefix. */
  readonly protocols: readonly HttpProtocol[];
  readonly onInference?: OnInference;
}

const EMPTY = Buffer.alloc(0);

/** Routes check their input by zod. Without this Fastify would load its own validators: 100 files, 3 MB. */
const NO_COMPILERS = {
  buildValidator: () => () => unused('validator'),
  buildSerializer: () => () => unused('serializer'),
};

function unused(what: string): never {
  throw new Error(`A route has a schema of Fastify's, for which there is no ${what}; describe it by a RouteDefinition.`);
}

/** A client may name its request for our log; anything but a short plain token is replaced. */
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Request ids count on from a random start of each process: as unique as random ones, and much cheaper. */
const idPrefix = randomBytes(6).toString('hex');
let lastRequest = 0;

function requestIdOf(request: IncomingMessage): string {
  const sent = request.headers['x-request-id'];
  if (typeof sent === 'string' && REQUEST_ID.test(sent)) return sent;
  lastRequest += 1;
  return `${idPrefix}-${lastRequest}`;
}

function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf('?');
  return end === -1 ? request.url : request.url.slice(0, end);
}

function mediaTypeOf(request: FastifyRequest): string {
  const header = request.headers['content-type'];
  if (header === undefined) return '';
  const end = header.indexOf(';');
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase();
}

function accepts(types: readonly string[], mediaType: string): boolean {
  return types.some((type) => type === mediaType || (type.endsWith('/*') && mediaType.startsWith(type.slice(0, -1))));
}

/** Refuses a body by its headers alone, so that nothing of it is read. */
function checkBodyHeaders(route: RouteDefinition, request: FastifyRequest): void {
  const length = request.headers['content-length'];
  const hasBody = (length !== undefined && length !== '0') || request.headers['transfer-encoding'] !== undefined;
  if (!hasBody || route.body === undefined) return;
  if (length !== undefined && Number(length) > route.body.maxBytes) {
    throw new SlipwayError('BODY_TOO_LARGE', `The body has ${length} bytes; this route takes at most ${route.body.maxBytes}.`);
  }
  const mediaType = mediaTypeOf(request);
  const types = Object.keys(route.body.content);
  // A body without a type is taken for the first one that the route reads, as most servers do.
  if (mediaType === '' || accepts(types, mediaType)) return;
  throw new SlipwayError(
    'UNSUPPORTED_MEDIA_TYPE',
    `This route does not read ${mediaType}; send one of: ${types.join(', ')} (curl: -H 'content-type: ${types[0]}').`,
  );
}

/** The signal is made on demand: most routes answer before anyone could go away. */
function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const { raw } = reply;
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Answers are text already. With a serializer of ours, Fastify also adds no charset to the media types of protocols that have none. */
function asItIs(payload: unknown): string {
  return payload as string;
}

function sendAnswer(request: FastifyRequest, reply: FastifyReply, answer: RouteAnswer): FastifyReply {
  reply.code(answer.status).header('x-request-id', request.id).serializer(asItIs);
  if (answer.contentType !== undefined) reply.header('content-type', answer.contentType);
  if (answer.headers !== undefined) reply.headers(answer.headers);
  return reply.send(answer.payload);
}

/** To the microsecond. */
function milliseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** `Server-Timing` (W3C) tells a client where its time went, in milliseconds. */
function serverTiming(decodeMs: number, queueMs: number, computeMs: number, totalMs: number, encodeMs: number): string {
  const transferMs = totalMs - queueMs - computeMs;
  return (
    `decode;dur=${milliseconds(decodeMs)}, queue;dur=${milliseconds(queueMs)}, compute;dur=${milliseconds(computeMs)}, ` +
    `transfer;dur=${milliseconds(transferMs)}, encode;dur=${milliseconds(encodeMs)}, total;dur=${milliseconds(decodeMs + totalMs + encodeMs)}`
  );
}

function addRoute(app: FastifyInstance, route: RouteDefinition, lingering: Lingering, onInference: OnInference | undefined): void {
  app.route({
    method: route.method,
    url: fastifyPath(route.path),
    ...(route.body?.kind === 'bytes' && { bodyLimit: route.body.maxBytes }),
    onRequest: (request, reply, done) => {
      checkBodyHeaders(route, request);
      askForBody(request.raw, reply.raw);
      done();
    },
    handler: async (request, reply) => {
      const receivedAt = performance.now();
      const answer = await route.handle({
        params: route.params === undefined ? undefined : checkInput(route.params, request.params, ''),
        query: route.query === undefined ? undefined : checkInput(route.query, request.query, ''),
        body: Buffer.isBuffer(request.body) ? request.body : EMPTY,
        get stream() {
          return openBody(request.raw);
        },
        headers: request.headers,
        mediaType: mediaTypeOf(request),
        get signal() {
          return signalOf(reply);
        },
      });
      if (answer.inference !== undefined) {
        const { startedAt, queueMs, computeMs, totalMs } = answer.inference.times;
        const decodeMs = startedAt - receivedAt;
        const encodeMs = performance.now() - startedAt - totalMs;
        onInference?.(answer.inference, decodeMs, encodeMs);
        reply.header('server-timing', serverTiming(decodeMs, queueMs, computeMs, totalMs, encodeMs));
      }
      if (lingering.beforeAnswer(request.raw, reply.raw)) reply.header('connection', 'close');
      return sendAnswer(request, reply, answer);
    },
  });
}

export interface HttpServer {
  readonly app: FastifyInstance;
  /** Clients keep connections open for long: from now on each is told by its next answer that it ends behind it. */
  announceClose(): void;
}

/** A Fastify server over protocols. It reads bodies as bytes; each protocol answers errors in its own shape. */
export function createHttpServer({ logger, protocols, requestArrivalMs, onInference }: HttpServerOptions): HttpServer {
  const lingering = createLingering();
  const app = fastify({
    logger: false,
    genReqId: requestIdOf,
    schemaController: { compilersFactory: NO_COMPILERS },
    // Names may be 128 characters; percent-encoding makes up to three of each.
    routerOptions: { maxParamLength: 512 },
    requestTimeout: requestArrivalMs,
    clientErrorHandler: (error, socket) => {
      lastRequest += 1;
      refuseMalformed(error, socket, {
        protocol: protocols[0]!,
        requestId: `${idPrefix}-${lastRequest}`,
        arrivalMs: requestArrivalMs,
      });
    },
    forceCloseConnections: 'idle',
    // Requests on open connections get a coded answer of their protocol instead.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply);
    },
  });

  // To Fastify a QUERY without a type is an error of its own, even where nothing takes QUERY. Like every method that no
  // route has, it is for the handler below.
  app.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true });

  // Node would tell every client that asks to send its body; here it is first looked at its headers.
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response));

  function protocolOf(path: string): HttpProtocol {
    return protocols.find(({ prefixes }) => prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))) ?? protocols[0]!;
  }

  function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const coded = toCodedError(error);
    if (coded.kind === 'internal') {
      logger.error({ err: coded.cause ?? coded, requestId: request.id, method: request.method, url: request.url }, coded.message);
    }
    const path = pathOf(request);
    const answer = protocolOf(path).encodeError(coded, { requestId: request.id, method: request.method, path });
    // Fastify says so on its own behind a body that was refused.
    if (lingering.beforeAnswer(request.raw, reply.raw)) reply.header('connection', 'close');
    else reply.removeHeader('connection');
    return reply.code(answer.status).header('x-request-id', request.id).headers(answer.headers).serializer(asItIs).send(answer.body);
  }

  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const allowed = protocols.flatMap(({ routes }) =>
      routes.filter((route) => pathPattern(route.path).test(path)).map((route) => route.method),
    );
    if (allowed.length === 0) {
      return sendError(new SlipwayError('ROUTE_NOT_FOUND', `There is no route ${request.method} ${path}.`), request, reply);
    }
    const methods = [...new Set(allowed)].join(', ');
    reply.header('allow', methods);
    return sendError(
      new SlipwayError('METHOD_NOT_ALLOWED', `${path} does not take ${request.method}; it takes ${methods}.`),
      request,
      reply,
    );
  });

  app.addHook('preClose', (done) => {
    lingering.announceEnd();
    lingering.end();
    done();
  });

  const routes = protocols.flatMap((protocol) => protocol.routes);
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
      collectBody(payload, request.routeOptions.bodyLimit ?? 0),
    );
    for (const route of routes) if (route.body?.kind !== 'stream') addRoute(scope, route, lingering, onInference);
    done();
  });
  // Streams are for their routes to read, and what is sent to no route is not read at all.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
  app.register((scope, _options, done) => {
    for (const route of routes) if (route.body?.kind === 'stream') addRoute(scope, route, lingering, onInference);
    done();
  });
  return { app, announceClose: lingering.announceEnd };
}
