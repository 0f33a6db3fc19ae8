import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { expired, type Intake } from '../../inference/intake.ts';
import type { OnInference } from '../../inference/types.ts';
import type { Logger } from '../../observability/log.ts';
import type { RequestOrigin, RequestTraces } from '../../observability/tracing.ts';
import { CACHE_HEADER } from '../cache-header.ts';
import type { ClientIdentity } from '../client-identity.ts';
import { callerOf, type HeadCaller } from './caller.ts';
import { checkInput } from './check-input.ts';
import { collectBody } from './collect-body.ts';
import { createEarlyRefusal, withoutQuery as pathIn } from './early-refusal.ts';
import { toCodedError } from './error-body.ts';
import { refuseMalformed } from './malformed-request.ts';
import { fastifyPath, pathPattern } from './path.ts';
import { mediaTypeOf, RequestContext } from './request-context.ts';
import type { HttpProtocol, RouteAnswer, RouteDefinition } from './route.ts';
import { serverTiming } from './server-timing.ts';
import { askForBody, createLingering, type Lingering } from './unread-body.ts';

export interface HttpServerOptions {
  readonly logger: Logger;
  /** As the setting `limits.requestArrivalMs`. */
  readonly requestArrivalMs: number;
  /** At least one; the first answers for paths that have no protocol's prefix. */
  readonly protocols: readonly HttpProtocol[];
  readonly clients: ClientIdentity;
  readonly intake: Intake;
  readonly onInference?: OnInference;
  /** Undefined when nobody collects them. */
  readonly traces?: RequestTraces | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: HeadCaller;
  }
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

function accepts(types: readonly string[], mediaType: string): boolean {
  return types.some((type) => type === mediaType || (type.endsWith('/*') && mediaType.startsWith(type.slice(0, -1))));
}

/** Refuses a body by its headers alone, so that nothing of it is read. @param types that the route reads. */
function checkBodyHeaders(route: RouteDefinition, types: readonly string[], request: FastifyRequest): void {
  const length = request.headers['content-length'];
  const hasBody = (length !== undefined && length !== '0') || request.headers['transfer-encoding'] !== undefined;
  if (!hasBody || route.body === undefined) return;
  if (length !== undefined && Number(length) > route.body.maxBytes) {
    throw new SlipwayError('BODY_TOO_LARGE', `The body has ${length} bytes; this route takes at most ${route.body.maxBytes}.`);
  }
  const mediaType = mediaTypeOf(request.headers['content-type']);
  // A body without a type is taken for the first one that the route reads, as most servers do.
  if (mediaType === '' || accepts(types, mediaType)) return;
  throw new SlipwayError(
    'UNSUPPORTED_MEDIA_TYPE',
    `This route does not read ${mediaType}; send one of: ${types.join(', ')} (curl: -H 'content-type: ${types[0]}').`,
  );
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

/**
 * Sends a model's answer by one call of Node's: what Fastify would do for it first takes as long as all else that HTTP
 * costs here.
 */
function sendInference(request: FastifyRequest, reply: FastifyReply, answer: RouteAnswer, timing: string, isLast: boolean): FastifyReply {
  const payload = answer.payload as string | Buffer;
  const headers = ['x-request-id', request.id, 'server-timing', timing, 'content-length', String(Buffer.byteLength(payload))];
  if (answer.contentType !== undefined) headers.push('content-type', answer.contentType);
  for (const name in answer.headers) headers.push(name, answer.headers[name]!);
  const outcome = answer.inference?.times.cache?.outcome;
  if (outcome !== undefined) headers.push(CACHE_HEADER, outcome);
  if (isLast) headers.push('connection', 'close');
  reply.hijack();
  reply.raw.writeHead(answer.status, headers);
  reply.raw.end(payload);
  return reply;
}

function originOf({ method, routeOptions, headers }: FastifyRequest): RequestOrigin {
  const route = routeOptions.url ?? '';
  return {
    operation: `${method} ${route}`,
    attributes: { 'http.request.method': method, 'http.route': route },
    traceparent: textOf(headers['traceparent']),
    tracestate: textOf(headers['tracestate']),
  };
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(',');
}

interface RouteParts {
  readonly lingering: Lingering;
  readonly clients: ClientIdentity;
  readonly intake: Intake;
  readonly onInference: OnInference | undefined;
  readonly traces: RequestTraces | undefined;
}

function addRoute(app: FastifyInstance, route: RouteDefinition, { lingering, clients, intake, onInference, traces }: RouteParts): void {
  const types = Object.keys(route.body?.content ?? {});
  // Most requests have no query, and what its schema makes of that is always the same.
  const withoutQuery = route.query?.safeParse({});
  const queryOf = (request: FastifyRequest): unknown => {
    if (route.query === undefined) return undefined;
    if (withoutQuery?.success === true && !request.url.includes('?')) return withoutQuery.data;
    return checkInput(route.query, request.query, '');
  };
  app.route({
    method: route.method,
    url: fastifyPath(route.path),
    ...(route.body?.kind === 'bytes' && { bodyLimit: route.body.maxBytes }),
    onRequest: (request, reply, done) => {
      checkBodyHeaders(route, types, request);
      request.caller = callerOf(clients, request.raw, intake.arrivedAt());
      if (route.admission) {
        const ended = intake.begin(request.caller);
        if (ended !== undefined) reply.raw.once('close', ended);
      }
      askForBody(request.raw, reply.raw);
      done();
    },
    handler: async (request, reply) => {
      const receivedAt = performance.now();
      // Its body may have taken its time; to decode it would be in vain.
      if (route.admission && receivedAt > (request.caller.deadline ?? Infinity)) throw expired();
      const params = route.params === undefined ? undefined : checkInput(route.params, request.params, '');
      const body = Buffer.isBuffer(request.body) ? request.body : EMPTY;
      const answer = await route.handle(new RequestContext(request.raw, reply.raw, request.caller, body, params, queryOf(request)));
      const isLast = lingering.beforeAnswer(request.raw, reply.raw);
      if (answer.inference !== undefined) {
        const { times } = answer.inference;
        const { startedAt, totalMs } = times;
        const decodeMs = startedAt - receivedAt;
        const encodeMs = performance.now() - startedAt - totalMs;
        onInference?.(answer.inference, decodeMs, encodeMs);
        traces?.answered(originOf(request), answer.inference, decodeMs, encodeMs);
        return sendInference(request, reply, answer, serverTiming(decodeMs, times, encodeMs), isLast);
      }
      if (isLast) reply.header('connection', 'close');
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
export function createHttpServer({
  logger,
  protocols,
  requestArrivalMs,
  clients,
  intake,
  onInference,
  traces,
}: HttpServerOptions): HttpServer {
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

  app.decorateRequest('caller');

  // To Fastify a QUERY without a type is an error of its own, even where nothing takes QUERY. Like every method that no
  // route has, it is for the handler below.
  app.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true });

  const refuse = createEarlyRefusal({ protocols, intake, lingering, requestIdOf });
  const [handle] = app.server.listeners('request') as [(request: IncomingMessage, response: ServerResponse) => void];
  app.server.off('request', handle);
  /** When requests came, for the traces of those that fail; Fastify measures it only for its own log. */
  const cameAt = new WeakMap<IncomingMessage, number>();
  app.server.on('request', (request, response) => {
    if (traces !== undefined) cameAt.set(request, performance.now());
    if (!refuse(request, response)) handle(request, response);
  });

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
    // Of what is no route, and of what is only looked at, there is nothing to trace.
    if (request.method === 'POST' && request.routeOptions.url !== undefined) {
      const now = performance.now();
      traces?.failed(originOf(request), now - (cameAt.get(request.raw) ?? now), coded);
    }
    const path = pathIn(request.url);
    const answer = protocolOf(path).encodeError(coded, { requestId: request.id, method: request.method, path });
    // Fastify says so on its own behind a body that was refused.
    if (lingering.beforeAnswer(request.raw, reply.raw)) reply.header('connection', 'close');
    else reply.removeHeader('connection');
    return reply.code(answer.status).header('x-request-id', request.id).headers(answer.headers).serializer(asItIs).send(answer.body);
  }

  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const path = pathIn(request.url);
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
  const parts = { lingering, clients, intake, onInference, traces };
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
      collectBody(payload, request.routeOptions.bodyLimit ?? 0),
    );
    for (const route of routes) if (route.body?.kind !== 'stream') addRoute(scope, route, parts);
    done();
  });
  // Streams are for their routes to read, and what is sent to no route is not read at all.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
  app.register((scope, _options, done) => {
    for (const route of routes) if (route.body?.kind === 'stream') addRoute(scope, route, parts);
    done();
  });
  return { app, announceClose: lingering.announceEnd };
}
