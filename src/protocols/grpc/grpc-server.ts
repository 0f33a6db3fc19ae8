import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import type { Intake } from '../../inference/intake.ts';
import type { OnInference } from '../../inference/types.ts';
import type { Logger } from '../../observability/log.ts';
import type { RequestTraces } from '../../observability/tracing.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { reflectionFiles } from './reflection-files.ts';
import type { ClientIdentity } from '../client-identity.ts';
import { answerUnary, type BytesMethod, handleStream, handleUnary, type InFlight, type MethodOptions } from './handlers.ts';
import type { GrpcService, Method } from './service.ts';
import { createUnaryStreams, type UnaryMethod } from './unary-streams.ts';

export interface GrpcServerOptions {
  readonly services: readonly GrpcService[];
  /** Largest message of a client, in bytes, also once it is decompressed; larger ones get RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  readonly clients: ClientIdentity;
  readonly intake: Intake;
  readonly logger: Logger;
  readonly onInference?: OnInference;
  /** Undefined when nobody collects them. */
  readonly traces?: RequestTraces | undefined;
}

export interface GrpcServer {
  /** Serves a client on a connection that someone else has accepted. */
  accept(connection: Socket): void;
  /** What grpc.health.v1.Health says of the server and of each of its services; NOT_SERVING until it is set. */
  setServing(serving: boolean): void;
  /**
   * Takes no new calls, and waits for those in flight, but no longer than `drainMs`. Streams without a request in flight
   * are ended. Safe to call twice.
   */
  stop(drainMs: number): Promise<void>;
}

/** Time that idle streams have to end by themselves when the server stops, in milliseconds. */
const STREAM_GRACE_MS = 250;

/** Largest message that a general decoder gets. */
const MOST_DECODED_BYTES = 1024 * 1024;

function isService(definition: PackageDefinition[string] | undefined): definition is ServiceDefinition {
  return definition !== undefined && !('format' in definition);
}

/**
 * Decodes requests here and not in grpc-js, which would answer a malformed one as a failure of the server, and would
 * decode one of any size.
 */
function withDecoding(method: Method, deserialize: (bytes: Buffer) => unknown): BytesMethod {
  return (bytes, context) => {
    if (bytes.length > MOST_DECODED_BYTES) {
      throw new SlipwayError('BODY_TOO_LARGE', `The message has ${bytes.length} bytes; this method takes at most ${MOST_DECODED_BYTES}.`);
    }
    let request: unknown;
    try {
      request = deserialize(bytes);
    } catch (error) {
      throw new SlipwayError('INVALID_REQUEST', `The message is malformed: ${messageOf(error)}.`, { cause: error });
    }
    return method(request as never, context);
  };
}

/** Lets requests in before they are decoded, or refuses them. */
function withAdmission(method: BytesMethod, intake: Intake): BytesMethod {
  return async (bytes, context) => {
    const ended = intake.begin(context);
    try {
      return await method(bytes, context);
    } finally {
      ended?.();
    }
  };
}

interface ServiceOptions extends MethodOptions {
  readonly intake: Intake;
  /** Where the unary methods are put, by their paths. */
  readonly unaryMethods: Map<string, UnaryMethod>;
}

function addService(server: Server, service: GrpcService, options: ServiceOptions): void {
  const { name, unary, streams = {}, reads = [], admission = [] } = service;
  const loaded = service.definition[name];
  if (!isService(loaded)) throw new TypeError(`The .proto files have no service ${name}.`);
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [method, made] of Object.entries(loaded)) {
    definition[method] = {
      ...made,
      requestDeserialize: (bytes) => bytes,
      responseSerialize: (response) => (Buffer.isBuffer(response) ? response : made.responseSerialize(response)),
    };
    const path = `/${name}/${method}`;
    const bytesMethod = (answer: Method): BytesMethod => {
      const reading = reads.includes(method) ? (answer as BytesMethod) : withDecoding(answer, made.requestDeserialize);
      return admission.includes(method) ? withAdmission(reading, options.intake) : reading;
    };
    const [one, many] = [unary[method], streams[method]];
    if (one !== undefined) {
      const answer = answerUnary(path, bytesMethod(one), options);
      options.unaryMethods.set(path, { answer, serialize: made.responseSerialize });
      implementation[method] = handleUnary(answer);
    } else if (many !== undefined) implementation[method] = handleStream(path, { ...many, answer: bytesMethod(many.answer) }, options);
    // The others are answered UNIMPLEMENTED by grpc-js.
  }
  server.addService(definition, implementation);
}

/** Requests in flight, and a promise for the moment when there are none. */
function createInFlight(): InFlight & { idle(): Promise<void> } {
  let count = 0;
  const waiting: (() => void)[] = [];
  return {
    begin() {
      count += 1;
    },
    end() {
      count -= 1;
      if (count === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    idle: () => new Promise((resolve) => (count === 0 ? resolve() : waiting.push(resolve))),
  };
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Puts a handler of streams before grpc-js's own, which gets those that the handler does not take.
 * @throws Error for a version of grpc-js that keeps its HTTP/2 servers elsewhere.
 */
function takeStreams(server: Server, take: ReturnType<typeof createUnaryStreams>): void {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<Http2Server, unknown> };
  const [http2Server] = http2Servers?.keys() ?? [];
  const [handle] = (http2Server?.listeners('stream') ?? []) as OnStream[];
  if (http2Server === undefined || handle === undefined) throw new Error('this version of @grpc/grpc-js has no HTTP/2 server to be found');
  http2Server.off('stream', handle);
  http2Server.on('stream', (stream, headers) => {
    if (!take(stream, headers)) handle(stream, headers);
  });
}

/** A gRPC server over services, with health (grpc.health.v1) and reflection (v1 and v1alpha). */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { services, maxMessageBytes } = options;
  const inFlight = createInFlight();
  const unaryMethods = new Map<string, UnaryMethod>();
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
    // Counts for a service that is not served.
    'grpc.enable_channelz': 0,
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const names = ['', ...services.map(({ name }) => name)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING'])));
  let stopping: Promise<void> | undefined;

  for (const service of services) addService(server, service, { ...options, inFlight, unaryMethods });
  takeStreams(server, createUnaryStreams(unaryMethods, maxMessageBytes));
  health.addToServer(server);
  const reflected: PackageDefinition = Object.assign({}, ...services.map(({ definition }) => definition), loadSync(healthProto));
  new ReflectionService(reflectionFiles(reflected)).addToServer(server);

  async function shutDown(drainMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      server.tryShutdown(() => resolve());
    });
    let timer: NodeJS.Timeout | undefined;
    const wait = (ms: number): Promise<void> => new Promise((resolve) => (timer = setTimeout(resolve, ms)));
    // Streams that only wait, such as a watch of the health, would hold up the end.
    const idle = inFlight.idle().then(() => wait(STREAM_GRACE_MS));
    let drainTimer: NodeJS.Timeout | undefined;
    const drained = new Promise<void>((resolve) => (drainTimer = setTimeout(resolve, drainMs)));
    await Promise.race([closed, idle, drained]);
    clearTimeout(timer);
    clearTimeout(drainTimer);
    server.forceShutdown();
  }

  return {
    accept: (connection) => injector.injectConnection(connection),
    setServing(serving) {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    stop(drainMs) {
      stopping ??= shutDown(drainMs);
      return stopping;
    },
  };
}
