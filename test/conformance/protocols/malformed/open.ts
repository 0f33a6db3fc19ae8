import { createGrpcClient } from '../grpc-client.ts';
import { createHttpClient } from '../http-client.ts';
import type { Target } from '../route.ts';
import { grpcSources } from './grpc.ts';
import { httpSources } from './http.ts';
import type { MalformedSource } from './malformed.ts';

/** Malformed requests of every protocol of a server. */
export function openMalformed(target: Target): { readonly sources: readonly MalformedSource[]; close(): void } {
  const http = createHttpClient(target.http);
  const grpc = target.grpc === undefined ? undefined : createGrpcClient(target.grpc);
  return {
    sources: [...httpSources(http), ...(grpc === undefined ? [] : grpcSources(grpc))],
    close() {
      http.close();
      grpc?.close();
    },
  };
}
