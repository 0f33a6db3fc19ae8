import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import type { Logger } from '../../observability/log.ts';
import { handleStream, handleUnary, type InFlight } from './handlers.ts';
import type { GrpcService } from './service.ts';

export interface GrpcServerOptions {
  readonly services: readonly GrpcService[];
  /** Largest message of a client, in bytes, also once it is decompressed; larger ones get RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  readonly logger: Logger;
}

export interface GrpcServer {
  /**
   * Listens.
   * @param port 0 takes a free one.
   * @returns the address, e.g. `127.0.0.1:9000`.
   */
  start(host: string, port: number): Promise<string>;
  /** What grpc.health.v1.Health says of the server and of each of its services; NOT_SERVING until it is set. */
  setServing(serving: boolean): void;
  /**
   * Takes no new connections and calls, and waits for those in flight, but no longer than `drainMs`. Streams without a
   * request in flight are ended. Safe to call twice, and before `start`.
   */
  stop(drainMs: number): Promise<void>;
}

/** Time that idle streams have to end by themselves when the server stops, in milliseconds. */
const STREAM_GRACE_MS = 250;

function isService(definition: PackageDefinition[string] | undefined): definition is ServiceDefinition {
  return definition !== undefined && !('format' in definition);
}

function implementationOf({ name, unary, streams = {} }: GrpcService, inFlight: InFlight, logger: Logger): UntypedServiceImplementation {
  const implementation: UntypedServiceImplementation = {};
  for (const [method, answer] of Object.entries(unary)) implementation[method] = handleUnary(`/${name}/${method}`, answer, inFlight, logger);
  for (const [method, answer] of Object.entries(streams)) implementation[method] = handleStream(`/${name}/${method}`, answer, inFlight, logger);
  return implementation;
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

/** Brackets around an IPv6 address. */
function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A gRPC server over services, with health (grpc.health.v1) and reflection (v1 and v1alpha). */
export function createGrpcServer({ services, maxMessageBytes, logger }: GrpcServerOptions): GrpcServer {
  const inFlight = createInFlight();
  const server = new Server({ 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.max_send_message_length': -1 });
  const names = ['', ...services.map(({ name }) => name)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING'])));
  let stopping: Promise<void> | undefined;

  for (const service of services) {
    const definition = service.definition[service.name];
    if (!isService(definition)) throw new TypeError(`The .proto files have no service ${service.name}.`);
    server.addService(definition, implementationOf(service, inFlight, logger));
  }
  health.addToServer(server);
  const reflected: PackageDefinition = Object.assign({}, ...services.map(({ definition }) => definition), loadSync(healthProto));
  new ReflectionService(reflected).addToServer(server);

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
    async start(host, port) {
      const bound = await new Promise<number>((resolve, reject) => {
        server.bindAsync(authority(host, port), ServerCredentials.createInsecure(), (error, number) => (error === null ? resolve(number) : reject(error)));
      });
      return authority(host, bound);
    },
    setServing(serving) {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    stop(drainMs) {
      stopping ??= shutDown(drainMs);
      return stopping;
    },
  };
}
