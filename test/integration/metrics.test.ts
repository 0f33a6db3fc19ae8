import { describe, expect, it } from 'vitest';
import { grpcClient } from '../helpers/grpc.ts';
import { runningServer } from '../helpers/running-server.ts';

async function predict(address: string, body: string): Promise<void> {
  const answer = await fetch(`${address}/predict`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await answer.arrayBuffer();
}

describe('GET /metrics', () => {
  it('tells requests by outcome, the times of their phases, and memory', async () => {
    const { address } = await runningServer(['times-three']);
    await predict(address, '{"model":"times-three","inputs":[1]}');
    await predict(address, '{"model":"times-three","inputs":[1,2]}');
    await predict(address, '{"model":"nowhere","inputs":[1]}');
    await predict(address, '{"model":"times-three","version":7,"inputs":[1]}');
    const answer = await fetch(`${address}/metrics`);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    expect(text).toContain('slipway_requests_total{model="times-three",version="1",outcome="success"} 2\n');
    expect(text).toContain('slipway_requests_total{model="",version="",outcome="MODEL_NOT_FOUND"} 1\n');
    expect(text).toContain('slipway_requests_total{model="times-three",version="",outcome="VERSION_NOT_FOUND"} 1\n');
    expect(text).not.toContain('nowhere');
    expect(text).toContain('slipway_request_duration_seconds_bucket{model="times-three",version="1",le="+Inf"} 2\n');
    for (const phase of ['decode', 'queue', 'compute', 'transfer', 'encode'])
      expect(text).toContain(`slipway_phase_duration_seconds_count{model="times-three",version="1",phase="${phase}"} 2\n`);
    expect(text).toMatch(/slipway_model_memory_bytes\{model="times-three",version="1"\} \d{7,}\n/);
    expect(text).toMatch(/slipway_model_loads_total\{device="cpu"\} 1\n/);
  });

  it('tells the time to decode and encode of every protocol, and each HTTP answer says its own', async () => {
    const { server, address } = await runningServer(['times-three']);
    const v2 = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] };
    const requests: [string, object][] = [
      ['/v2/models/times-three/infer', v2],
      ['/v1/models/times-three:predict', { instances: [1] }],
      ['/v1/models/times-three:regress', { examples: [{ x: 1 }] }],
      ['/invocations', { instances: [1] }],
    ];
    for (const [path, body] of requests) {
      const answer = await fetch(`${address}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
      expect(answer.status, path).toBe(200);
      expect(answer.headers.get('server-timing'), path).toMatch(
        /^decode;dur=[\d.]+, queue;dur=[\d.]+, compute;dur=[\d.]+, transfer;dur=[\d.]+, encode;dur=[\d.]+, total;dur=[\d.]+$/,
      );
    }
    const grpcAddress = server.addresses.at(-1)!;
    const kserve = grpcClient(grpcAddress, 'inference.proto', 'inference.GRPCInferenceService');
    const message = {
      model_name: 'times-three',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }],
    };
    await kserve.call('ModelInfer', message);
    await kserve.stream('ModelStreamInfer', [message, message]);
    const serving = grpcClient(grpcAddress, 'tensorflow_serving.proto', 'tensorflow.serving.PredictionService');
    await serving.call('Predict', {
      model_spec: { name: 'times-three' },
      inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 1 }] }, float_val: [1] } },
    });
    const text = await (await fetch(`${address}/metrics`)).text();
    for (const phase of ['decode', 'queue', 'encode'])
      expect(text).toContain(`slipway_phase_duration_seconds_count{model="times-three",version="1",phase="${phase}"} 8\n`);
  });
});

describe('GET /models/{name}', () => {
  it('tells the percentiles of its versions once they have answered', async () => {
    const { address } = await runningServer(['times-three']);
    const latency = async (path: string): Promise<unknown> =>
      ((await (await fetch(`${address}${path}`)).json()) as { latency?: unknown; versions?: { latency?: unknown }[] }).versions?.[0]
        ?.latency;
    expect(await latency('/models/times-three')).toBeUndefined();
    await predict(address, '{"model":"times-three","inputs":[1]}');
    const times = { p50Ms: expect.any(Number), p95Ms: expect.any(Number), p99Ms: expect.any(Number) };
    const phases = { total: times, decode: times, queue: times, compute: times, transfer: times, encode: times };
    expect(await latency('/models/times-three')).toEqual({ requests: 1, ...phases });
    const version = (await (await fetch(`${address}/models/times-three/versions/1`)).json()) as { latency?: unknown };
    expect(version.latency).toEqual({ requests: 1, ...phases });
    const { models } = (await (await fetch(`${address}/models`)).json()) as { models: { versions: { latency?: unknown }[] }[] };
    expect(models[0]!.versions[0]!.latency).toBeUndefined();
  });
});
