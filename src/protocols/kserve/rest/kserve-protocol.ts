import type { HttpProtocol } from '../../http/route.ts';
import type { OpenInference } from '../open-inference.ts';
import { createDescribeRoutes } from './describe-routes.ts';
import { encodeV2Error } from './errors.ts';
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
  const { openInference } = options;
  return {
    routes: [
      ...createDescribeRoutes(openInference),
      ...createInferRoutes(options),
      ...createRepositoryRoutes(openInference),
      ...createUnsupportedRoutes(),
    ],
    ownsPath: (path) => path === '/v2' || path.startsWith('/v2/'),
    encodeError: encodeV2Error,
  };
}
