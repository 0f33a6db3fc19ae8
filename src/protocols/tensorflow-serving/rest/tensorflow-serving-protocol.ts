import type { HttpProtocol } from '../../http/route.ts';
import { encodeTensorFlowError, TENSORFLOW_ERROR } from './errors.ts';
import { createTensorFlowServingRoutes, type TensorFlowServingRouteOptions } from './routes.ts';

/** TensorFlow Serving's REST API. */
export function createTensorFlowServingProtocol(options: TensorFlowServingRouteOptions): HttpProtocol {
  return {
    tags: { 'tensorflow-serving': 'TensorFlow Serving’s REST API.' },
    routes: createTensorFlowServingRoutes(options),
    prefixes: ['/v1'],
    encodeError: encodeTensorFlowError,
    error: TENSORFLOW_ERROR,
  };
}
