import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { messageOf } from '../../errors/slipway-error.ts';
import type { GrpcServer, GrpcServerOptions } from './grpc-server.ts';
import type { GrpcService } from './service.ts';

/** Services and the port that they are served on; services with the same port share one server. */
export interface GrpcEndpoint {
  /** Makes the services; called when the first client comes. */
  readonly open: () => Promise<readonly GrpcService[]>;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface GrpcListeners {
  /**
   * Listens on every port.
   * @returns the addresses in the order of the endpoints' ports, e.g. `127.0.0.1:9000`.
   * @throws Error naming the port that could not be had.
   */
  listen(host: string): Promise<string[]>;
  /** What grpc.health.v1.Health says of the server and of each of its services; NOT_SERVING until it is set. */
  setServing(serving: boolean): void;
  /** Takes no new connections and calls, and waits for those in flight, but no longer than `drainMs`. */
  stop(drainMs: number): Promise<void>;
}

type Options = Omit<GrpcServerOptions, 'services'>;

/** Brackets around an IPv6 address. */
function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function createListener(port: number, endpoints: readonly GrpcEndpoint[], options: Options): GrpcListeners {
  const { logger } = options;
  let serving = false;
  let opening: Promise<GrpcServer> | undefined;

  async function open(): Promise<GrpcServer> {
    const { createGrpcServer } = await import('./grpc-server.ts');
    const services = await Promise.all(endpoints.map((each) => each.open()));
    const server = createGrpcServer({ ...options, services: services.flat() });
    server.setServing(serving);
    return server;
  }

  const listener = createServer({ noDelay: true }, (connection: Socket) => {
    // Until the server has it, nobody else would hear of its end.
    connection.on('error', () => connection.destroy());
    opening ??= open();
    opening.then(
      (server) => server.accept(connection),
      (error: unknown) => {
        logger.error({ err: error }, 'the gRPC server could not be made');
        connection.destroy();
      },
    );
  });

  return {
    async listen(host) {
      try {
        await once(listener.listen({ host, port }), 'listening');
      } catch (error) {
        throw new Error(`gRPC on port ${port}: ${messageOf(error)}`, { cause: error });
      }
      return [authority(host, (listener.address() as AddressInfo).port)];
    },
    setServing(now) {
      serving = now;
      // Whoever waits for it learns why it could not be made.
      opening?.then((server) => server.setServing(now)).catch(() => {});
    },
    async stop(drainMs) {
      listener.close();
      const server = await opening?.catch(() => undefined);
      await server?.stop(drainMs);
    },
  };
}

/**
 * One gRPC server for each port. The libraries of gRPC take a fifth of the memory of a whole server, so they are loaded
 * when the first client comes.
 */
export function createGrpcListeners(endpoints: readonly GrpcEndpoint[], options: Options): GrpcListeners {
  const listeners = [...Map.groupBy(endpoints, ({ port }) => port)].map(([port, sharing]) => createListener(port, sharing, options));
  return {
    listen: async (host) => (await Promise.all(listeners.map((each) => each.listen(host)))).flat(),
    setServing(serving) {
      for (const each of listeners) each.setServing(serving);
    },
    async stop(drainMs) {
      await Promise.all(listeners.map((each) => each.stop(drainMs)));
    },
  };
}
