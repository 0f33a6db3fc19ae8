import type { HttpProtocol } from '../../http/route.ts';
import type { OpenInference } from '../open-inference.ts';
import { createDescribeRoutes } from './describe-routes.ts';
import { encodeV2Error, V2_ERROR } from './errors.ts';
import { createInferRoutes } from './infer-routes.ts';
import { createRepositoryRoutes } from './repository-routes.ts';
import { createUnsupportedRoutes } from './unsupported-routes.ts';

export interface KserveProtocolOptions {
  readonly openInference: OpenInference;
  /** Largest body, before and after decompression. */
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

/** The KServe V2 protocol (Open Inference Protocol) over REST, with the extensions of Triton that its clients use. */
export function createKserveProtocol(options: KserveProtocolOptions): HttpProtocol {
  const { openInference, maxBodyBytes } = options;
  return {
    tags: { kserve: 'The Open Inference Protocol (KServe V2), with Triton’s extensions.' },
    routes: [
      ...createDescribeRoutes(openInference),
      ...createInferRoutes(options),
      ...createRepositoryRoutes(openInference, maxBodyBytes),
      ...createUnsupportedRoutes(),
    ],
    prefixes: ['/v2'],
    encodeError: encodeV2Error,
    error: V2_ERROR,
  };
}
