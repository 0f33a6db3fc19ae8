import type { ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { expect, it, vi } from 'vitest';
import { grpcClient, type Message } from '../helpers/grpc.ts';
import { runningServer } from '../helpers/running-server.ts';

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 60_000 });

const MODEL = 'times-three';
const TENSOR = { name: 'x', datatype: 'FP32', shape: [1] };
const ROUTES: readonly [path: string, body: object][] = [
  ['/predict', { model: MODEL, inputs: [1] }],
  [`/models/${MODEL}/predict`, { inputs: [1] }],
  [`/v2/models/${MODEL}/infer`, { inputs: [{ ...TENSOR, data: [1] }] }],
  [`/v1/models/${MODEL}:predict`, { instances: [1] }],
  ['/invocations', { instances: [1] }],
];
const CALLS: readonly [file: string, service: string, method: string, request: Message][] = [
  [
    'inference.proto',
    'inference.GRPCInferenceService',
    'ModelInfer',
    { model_name: MODEL, inputs: [{ ...TENSOR, contents: { fp32_contents: [1] } }] },
  ],
  [
    'tensorflow_serving.proto',
    'tensorflow.serving.PredictionService',
    'Predict',
    { model_spec: { name: MODEL }, inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 1 }] }, float_val: [1] } } },
  ],
];

/** As googleapis publishes them: google/rpc/status.proto and error_details.proto. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`);

function decode(type: string, bytes: Uint8Array): Record<string, never> {
  const message = root.lookupType(type);
  return message.toObject(message.decode(bytes), { longs: Number }) as Record<string, never>;
}

async function post(address: string, path: string, body: object | string, key: string): Promise<Response> {
  return fetch(`${address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

it('a client over its quota gets 429 with Retry-After in every protocol, before its body is read, and another one its answers', async () => {
  // One request an hour: what is sent here is over it, however slow the machine is.
  const { address, server } = await runningServer([MODEL], { clients: { identifiedBy: 'header', requestsPerSecond: 1 / 3_600 } });
  for (const [path, body] of ROUTES) {
    expect((await post(address, path, body, `greedy ${path}`)).status, path).toBe(200);
    const refused = await post(address, path, '{"no JSON', `greedy ${path}`);
    expect(refused.status, path).toBe(429);
    expect(Number(refused.headers.get('retry-after')), path).toBeGreaterThan(3_000);
    expect(await refused.text()).toContain('over its');
    expect((await post(address, path, body, `modest ${path}`)).status, path).toBe(200);
  }
  for (const [file, service, method, request] of CALLS) {
    const grpc = grpcClient(server.addresses.at(-1)!, file, service);
    const metadata = { 'x-api-key': `greedy ${service}` };
    await grpc.call(method, request, { metadata });
    const refused = await grpc.call(method, request, { metadata }).then(
      () => undefined,
      (error: unknown) => error as ServiceError,
    );
    expect(refused, service).toMatchObject({ code: 8 });
    const pushbackMs = Number(refused!.metadata.get('grpc-retry-pushback-ms')[0]);
    expect(pushbackMs).toBeGreaterThan(3_000_000);
    const status = decode('Status', refused!.metadata.get('grpc-status-details-bin')[0] as Buffer);
    expect(status).toMatchObject({ code: 8, message: refused!.details });
    const [detail] = status['details']! as { typeUrl: string; value: Buffer }[];
    expect(detail!.typeUrl).toBe('type.googleapis.com/google.rpc.RetryInfo');
    const { retryDelay } = decode('RetryInfo', detail!.value) as unknown as { retryDelay: { seconds: number; nanos: number } };
    expect(retryDelay.seconds * 1_000 + retryDelay.nanos / 1e6).toBe(pushbackMs);
  }
  const metrics = await (await fetch(`${address}/metrics`)).text();
  expect(metrics).toMatch(/QUOTA_EXCEEDED.*\} 7\n/);
});

it('a client may have so many requests under way, in a stream of gRPC too, and what is over it is answered inside the stream', async () => {
  const { server } = await runningServer([MODEL], { clients: { maxConcurrent: 1 } });
  const [file, service, , request] = CALLS[0]!;
  const grpc = grpcClient(server.addresses.at(-1)!, file, service);
  const answers = await grpc.stream('ModelStreamInfer', [request, request, request]);
  expect(answers).toHaveLength(3);
  expect(answers[0]).toMatchObject({ error_message: '' });
  expect(answers[1]!['error_message']).toContain('under way');
  await grpc.call('ModelInfer', request);
});
