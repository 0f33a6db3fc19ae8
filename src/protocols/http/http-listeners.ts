import { messageOf } from '../../errors/slipway-error.ts';
import { createHttpServer, type HttpServerOptions } from './http-server.ts';
import type { HttpProtocol } from './route.ts';

/** A protocol and the port that it is served on; protocols with the same port share one server. */
export interface HttpEndpoint {
  readonly protocol: HttpProtocol;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface HttpListeners {
  /**
   * Listens on every port.
   * @returns the addresses in the order of the endpoints' ports, e.g. `http://127.0.0.1:8080`.
   * @throws Error naming the port that could not be had.
   */
  listen(host: string): Promise<string[]>;
  /** From now on answers tell their clients that the connection ends behind them. */
  announceClose(): void;
  /** Answers what has arrived and takes no new connections. */
  close(): Promise<void>;
}

/** One HTTP server for each port. An unknown path is answered by the first protocol of its port. */
export function createHttpListeners(endpoints: readonly HttpEndpoint[], options: Omit<HttpServerOptions, 'protocols'>): HttpListeners {
  const servers = [...Map.groupBy(endpoints, ({ port }) => port)].map(([port, sharing]) => ({
    port,
    server: createHttpServer({ ...options, protocols: sharing.map(({ protocol }) => protocol) }),
  }));
  return {
    listen: (host) =>
      Promise.all(
        servers.map(async ({ port, server }) => {
          try {
            return await server.app.listen({ host, port });
          } catch (error) {
            throw new Error(`HTTP on port ${port}: ${messageOf(error)}`, { cause: error });
          }
        }),
      ),
    announceClose() {
      for (const { server } of servers) server.announceClose();
    },
    async close() {
      await Promise.all(servers.map(({ server }) => server.app.close()));
    },
  };
}
