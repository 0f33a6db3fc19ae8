import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { grpcClient } from '../helpers/grpc.ts';
import { post } from '../helpers/http.ts';
import { addModels, type RunningServer, runningServer } from '../helpers/running-server.ts';

const CACHE = { responseCache: { maxBytes: 1_000_000 } };
const body = (...inputs: number[]): string => JSON.stringify({ model: 'times-three', inputs });

/** Where an answer came from, and its outputs. */
async function predict({ address }: RunningServer, text: string): Promise<[string | null, unknown]> {
  const answer = await post(address, '/predict', text);
  expect(answer.status).toBe(200);
  return [answer.headers.get('x-slipway-cache'), ((await answer.json()) as { outputs: unknown }).outputs];
}

async function metric({ address }: RunningServer, name: string): Promise<number> {
  const line = (await (await fetch(`${address}/metrics`)).text()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

describe('the response cache', () => {
  it('answers equal requests of every protocol without a run, says so and counts', async () => {
    const running = await runningServer(['times-three'], CACHE);
    expect(await predict(running, body(1, 2))).toEqual(['miss', { y: [3, 6] }]);
    expect(await predict(running, body(1, 2))).toEqual(['hit', { y: [3, 6] }]);
    expect(await predict(running, body(1, 3))).toEqual(['miss', { y: [3, 9] }]);
    const v2 = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] });
    const answer = await post(running.address, '/v2/models/times-three/infer', v2);
    expect(await answer.json()).toMatchObject({ outputs: [{ data: [3, 6] }] });
    expect(answer.headers.get('x-slipway-cache')).toBe('hit');
    expect(answer.headers.get('server-timing')).toMatch(
      /^decode;dur=[\d.]+, cache;desc=hit;dur=[\d.]+, encode;dur=[\d.]+, total;dur=[\d.]+$/,
    );
    const kserve = grpcClient(running.server.addresses.at(-1)!, 'inference.proto', 'inference.GRPCInferenceService');
    const trailers: unknown[] = [];
    const onTrailer = (trailer: Record<string, unknown>): void => void trailers.push(trailer['x-slipway-cache']);
    for (const value of [2, 7]) {
      const contents = { fp32_contents: [1, value] };
      const message = { model_name: 'times-three', inputs: [{ name: 'x', datatype: 'FP32', shape: [2], contents }] };
      const { raw_output_contents: raw } = await kserve.call('ModelInfer', message, { onTrailer });
      expect((raw as Buffer[])[0]).toEqual(Buffer.from(Float32Array.of(3, value * 3).buffer));
    }
    expect(trailers).toEqual(['hit', 'miss']);
    expect(await metric(running, 'slipway_response_cache_requests_total{outcome="hit"}')).toBe(3);
    expect(await metric(running, 'slipway_response_cache_requests_total{outcome="miss"}')).toBe(3);
    expect(await metric(running, 'slipway_response_cache_entries')).toBe(3);
    // Every request is counted, but only those that ran have the time of a run.
    expect(await metric(running, 'slipway_requests_total{model="times-three",version="1",outcome="success"}')).toBe(6);
    expect(await metric(running, 'slipway_phase_duration_seconds_count{model="times-three",version="1",phase="compute"}')).toBe(3);
    const statistics = await fetch(`${running.address}/v2/models/times-three/stats`);
    expect(await statistics.json()).toMatchObject({
      model_stats: [{ inference_count: 12, execution_count: 3, inference_stats: { cache_hit: { count: 3 }, cache_miss: { count: 3 } } }],
    });
  });

  it('forgets a version whose files have changed', async () => {
    const running = await runningServer(['times-three'], CACHE);
    await predict(running, body(1));
    expect(await predict(running, body(1))).toEqual(['hit', { y: [3] }]);
    const file = join(running.models, 'times-three/1/model.onnx');
    await copyFile(file, `${file}.new`);
    await rename(`${file}.new`, file);
    await vi.waitFor(async () => expect((await predict(running, body(1)))[0]).toBe('miss'), { timeout: 20_000, interval: 20 });
    expect(await predict(running, body(1))).toEqual(['hit', { y: [3] }]);
  });

  it('is off by default, and for models that say so', async () => {
    const off = await runningServer(['times-three']);
    await predict(off, body(1));
    expect(await predict(off, body(1))).toEqual([null, { y: [3] }]);
    const running = await runningServer([], CACHE);
    await addModels(running.models, ['times-three']);
    await writeFile(join(running.models, 'times-three/1/slipway.json'), '{"responseCache":false}');
    await running.server.registry.load('times-three');
    await predict(running, body(1));
    expect(await predict(running, body(1))).toEqual([null, { y: [3] }]);
  });
});
