import { messageOf } from '../../errors/slipway-error.ts';
import { createGrpcServer, type GrpcServer, type GrpcServerOptions } from './grpc-server.ts';
import type { GrpcService } from './service.ts';

/** A service and the port that it is served on; services with the same port share one server. */
export interface GrpcEndpoint {
  readonly service: GrpcService;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface GrpcListeners extends Pick<GrpcServer, 'setServing' | 'stop'> {
  /**
   * Listens on every port.
   * @returns the addresses in the order of the endpoints' ports, e.g. `127.0.0.1:9000`.
   * @throws Error naming the port that could not be had.
   */
  listen(host: string): Promise<string[]>;
}

/** One gRPC server for each port. */
export function createGrpcListeners(endpoints: readonly GrpcEndpoint[], options: Omit<GrpcServerOptions, 'services'>): GrpcListeners {
  const servers = [...Map.groupBy(endpoints, ({ port }) => port)].map(([port, sharing]) => ({
    port,
    server: createGrpcServer({ ...options, services: sharing.map(({ service }) => service) }),
  }));
  return {
    listen: (host) =>
      Promise.all(
        servers.map(async ({ port, server }) => {
          try {
            return await server.start(host, port);
          } catch (error) {
            throw new Error(`gRPC on port ${port}: ${messageOf(error)}`, { cause: error });
          }
        }),
      ),
    setServing(serving) {
      for (const { server } of servers) server.setServing(serving);
    },
    async stop(drainMs) {
      await Promise.all(servers.map(({ server }) => server.stop(drainMs)));
    },
  };
}
