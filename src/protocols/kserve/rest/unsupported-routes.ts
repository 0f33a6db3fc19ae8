import { SlipwayError } from '../../../errors/slipway-error.ts';
import { defineRoute, type RouteDefinition } from '../../http/route.ts';

type Method = RouteDefinition['method'];

interface UnsupportedRoute {
  readonly methods: readonly Method[];
  readonly path: string;
  /** What the answer says. */
  readonly why: string;
}

const SHARED_MEMORY = 'Shared memory is not supported: send tensors with the request, in binary form.';
const TRACING = 'Trace settings are not supported.';
const LOGGING = 'Log settings can’t be changed while the server runs; they are set at its start.';

function sharedMemory(kind: string): UnsupportedRoute[] {
  const why = SHARED_MEMORY;
  const region = `/v2/${kind}/region/{region}`;
  return [
    { methods: ['GET'], path: `/v2/${kind}/status`, why },
    { methods: ['POST'], path: `/v2/${kind}/unregister`, why },
    { methods: ['GET'], path: `${region}/status`, why },
    { methods: ['POST'], path: `${region}/register`, why },
    { methods: ['POST'], path: `${region}/unregister`, why },
  ];
}

const UNSUPPORTED: readonly UnsupportedRoute[] = [
  ...sharedMemory('systemsharedmemory'),
  ...sharedMemory('cudasharedmemory'),
  { methods: ['GET', 'POST'], path: '/v2/trace/setting', why: TRACING },
  { methods: ['GET', 'POST'], path: '/v2/models/{name}/trace/setting', why: TRACING },
  { methods: ['GET', 'POST'], path: '/v2/logging', why: LOGGING },
];

/** Routes of Triton that clients of it may call: they are told so instead of that there is no such route. */
export function createUnsupportedRoutes(): RouteDefinition[] {
  return UNSUPPORTED.flatMap(({ methods, path, why }) =>
    methods.map((method) =>
      defineRoute({
        method,
        path,
        operationId: `v2Unsupported${method}${path.replaceAll(/\W+/g, '_')}`,
        tag: 'kserve',
        summary: 'Not supported.',
        undocumented: true,
        responses: {},
        errors: [501],
        handle: () => Promise.reject(new SlipwayError('NOT_SUPPORTED', why)),
      }),
    ),
  );
}
