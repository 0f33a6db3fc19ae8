import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { Load } from './digits-loads.ts';
import { digitsBody, digitsImage, ROOT } from './digits.ts';
import { loadGrpc } from './grpc-client.ts';
import { load } from './http-client.ts';

/** TensorFlow Serving's REST API: the image of the native JSON body as the only row, or the only column. */
export function tensorFlowRest(port: number, format: 'row' | 'column'): Load {
  const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: unknown };
  const body = Buffer.from(JSON.stringify(format === 'row' ? { instances: inputs } : { inputs }));
  const headers = { 'content-type': 'application/json' };
  return (connections, ms) => load({ port, path: '/v1/models/digits:predict', headers, body, connections, durationMs: ms });
}

/** `Predict` with the image as `tensor_content`. */
export function tensorFlowGrpc(port: number): Load {
  const definition = loadSync('tensorflow_serving.proto', { keepCase: true, enums: String, includeDirs: [join(ROOT, 'proto')] });
  const request = definition['tensorflow.serving.PredictRequest'] as MessageTypeDefinition<object, object>;
  const tensor_shape = { dim: [1, 1, 28, 28].map((size) => ({ size })) };
  const message = request.serialize({
    model_spec: { name: 'digits' },
    inputs: { image: { dtype: 'DT_FLOAT', tensor_shape, tensor_content: Buffer.from(digitsImage().buffer) } },
  });
  const path = '/tensorflow.serving.PredictionService/Predict';
  return (connections, ms) => loadGrpc({ port, path, message, connections, durationMs: ms });
}
