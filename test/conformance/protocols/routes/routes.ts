import { createGrpcClient } from '../grpc-client.ts';
import { createHttpClient } from '../http-client.ts';
import type { Route, Target } from '../route.ts';
import { tensorFlowGrpcRoute, v2GrpcRoute } from './grpc-routes.ts';
import { nativeRoute, sagemakerCsvRoute, sagemakerRoute, tensorFlowRoute } from './json-routes.ts';
import { v2BinaryRoute, v2JsonRoute } from './v2-rest.ts';

export interface Routes {
  readonly routes: readonly Route[];
  close(): void;
}

/** Every route of a server. */
export function openRoutes(target: Target): Routes {
  const http = createHttpClient(target.http);
  const grpc = target.grpc === undefined ? undefined : createGrpcClient(target.grpc);
  const overGrpc =
    grpc === undefined
      ? []
      : [v2GrpcRoute(grpc, 'raw'), v2GrpcRoute(grpc, 'typed'), tensorFlowGrpcRoute(grpc, 'values'), tensorFlowGrpcRoute(grpc, 'content')];
  return {
    routes: [
      v2BinaryRoute(http),
      v2JsonRoute(http, 'flat'),
      v2JsonRoute(http, 'nested'),
      nativeRoute(http),
      tensorFlowRoute(http, 'row'),
      tensorFlowRoute(http, 'column'),
      sagemakerRoute(http),
      sagemakerCsvRoute(http),
      ...overGrpc,
    ],
    close() {
      http.close();
      grpc?.close();
    },
  };
}
