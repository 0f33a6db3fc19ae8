import { expect, it, vi } from 'vitest';
import { grpcClient } from '../helpers/grpc.ts';
import { runningServer } from '../helpers/running-server.ts';

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 60_000 });

const MODEL = 'times-three';
const TENSOR = { name: 'x', datatype: 'FP32', shape: [1] };
const ROUTES: readonly [path: string, body: object][] = [
  ['/predict', { model: MODEL, inputs: [1] }],
  [`/v2/models/${MODEL}/infer`, { inputs: [{ ...TENSOR, data: [1] }] }],
  [`/v1/models/${MODEL}:predict`, { instances: [1] }],
];

async function post(address: string, path: string, body: object, key: string): Promise<Response> {
  return fetch(`${address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify(body),
  });
}

it('a client over its quota gets 429 with Retry-After in every protocol, and another one its answers', async () => {
  // One request an hour: what is sent here is over it, however slow the machine is.
  const { address, server } = await runningServer([MODEL], { clients: { identifiedBy: 'header', requestsPerSecond: 1 / 3_600 } });
  for (const [path, body] of ROUTES) {
    expect((await post(address, path, body, `greedy ${path}`)).status, path).toBe(200);
    const refused = await post(address, path, body, `greedy ${path}`);
    expect(refused.status, path).toBe(429);
    expect(Number(refused.headers.get('retry-after')), path).toBeGreaterThan(3_000);
    expect(await refused.text()).toContain('over its');
    expect((await post(address, path, body, `modest ${path}`)).status, path).toBe(200);
  }
  const grpc = grpcClient(server.addresses.at(-1)!, 'inference.proto', 'inference.GRPCInferenceService');
  const request = { model_name: MODEL, inputs: [{ ...TENSOR, contents: { fp32_contents: [1] } }] };
  await grpc.call('ModelInfer', request, { metadata: { 'x-api-key': 'greedy grpc' } });
  await expect(grpc.call('ModelInfer', request, { metadata: { 'x-api-key': 'greedy grpc' } })).rejects.toMatchObject({ code: 8 });
  const metrics = await (await fetch(`${address}/metrics`)).text();
  expect(metrics).toMatch(/QUOTA_EXCEEDED.*\} 4\n/);
});
