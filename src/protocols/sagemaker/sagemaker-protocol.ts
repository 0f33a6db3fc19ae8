import { encodeErrorAnswer, NATIVE_ERROR } from '../http/error-body.ts';
import { defineRoute, type HttpProtocol } from '../http/route.ts';
import { createInvocationsRoute, type InvocationsOptions } from './invocations-route.ts';

export interface SagemakerOptions extends InvocationsOptions {
  readonly isReady: () => boolean;
}

/**
 * What Amazon SageMaker asks of a container (Custom Inference Code with Hosting Services): `POST /invocations` and
 * `GET /ping`. Errors are those of the native API; SageMaker hands them on as they are.
 */
export function createSagemakerProtocol(options: SagemakerOptions): HttpProtocol {
  return {
    tags: { sagemaker: 'What Amazon SageMaker calls.' },
    routes: [
      createInvocationsRoute(options),
      defineRoute({
        method: 'GET',
        path: '/ping',
        operationId: 'sagemakerPing',
        tag: 'sagemaker',
        summary: 'Whether the server takes work (SageMaker).',
        responses: { 200: { description: 'It does.' }, 503: { description: 'It starts or stops.' } },
        errors: [],
        handle: async () => ({ status: options.isReady() ? 200 : 503 }),
      }),
    ],
    prefixes: [],
    encodeError: encodeErrorAnswer,
    error: NATIVE_ERROR,
  };
}
