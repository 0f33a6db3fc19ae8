import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { LoadResult } from './closed-loop.ts';
import { digitsBody, digitsImage, ROOT } from './digits.ts';
import { loadGrpc } from './grpc-client.ts';
import { load } from './http-client.ts';

/** Loads one server in one way: so many connections, each with one image at a time, for so long. */
export type Load = (connections: number, ms: number) => Promise<LoadResult>;

const SHAPE = [1, 1, 28, 28];
const tensor = { name: 'image', datatype: 'FP32', shape: SHAPE };

function imageBytes(): Buffer {
  return Buffer.from(digitsImage().buffer);
}

function http(port: number, path: string, headers: Readonly<Record<string, string>>, body: Buffer): Load {
  return (connections, ms) => load({ port, path, headers, body, connections, durationMs: ms });
}

/** `POST /predict` in JSON, about 7 kB; the baseline takes the same. */
export function nativeJson(port: number): Load {
  return http(port, '/predict', { 'content-type': 'application/json' }, digitsBody());
}

/** The baseline's route for bare bytes. */
export function bareBinary(port: number): Load {
  return http(port, '/predict-binary', { 'content-type': 'application/octet-stream' }, imageBytes());
}

export function v2Json(port: number): Load {
  const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: unknown };
  const body = Buffer.from(JSON.stringify({ inputs: [{ ...tensor, data: inputs }] }));
  return http(port, '/v2/models/digits/infer', { 'content-type': 'application/json' }, body);
}

export function v2Binary(port: number): Load {
  const image = imageBytes();
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [{ ...tensor, parameters: { binary_data_size: image.byteLength } }],
    }),
  );
  return http(
    port,
    '/v2/models/digits/infer',
    { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) },
    Buffer.concat([json, image]),
  );
}

export function v2Grpc(port: number): Load {
  const definition = loadSync('inference.proto', { keepCase: true, includeDirs: [join(ROOT, 'proto')] });
  const request = definition['inference.ModelInferRequest'] as MessageTypeDefinition<object, object>;
  const message = request.serialize({ model_name: 'digits', inputs: [tensor], raw_input_contents: [imageBytes()] });
  const path = '/inference.GRPCInferenceService/ModelInfer';
  return (connections, ms) => loadGrpc({ port, path, message, connections, durationMs: ms });
}

/** @throws Error when any answer was not a success. */
export function expectSuccess(name: string, { outcomes }: LoadResult): void {
  const failed = [...outcomes].filter(([outcome]) => outcome !== 200 && outcome !== 'OK');
  if (failed.length > 0) throw new Error(`${name} answered ${failed.map(([outcome, count]) => `${outcome} (${count}x)`).join(', ')}`);
}
