import { describe, expect, it } from 'vitest';
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
});
