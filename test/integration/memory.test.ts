import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runningServer } from '../helpers/running-server.ts';

const memorySchema = z.object({
  devices: z.array(
    z.object({
      budgetBytes: z.int(),
      usedBytes: z.int(),
      loads: z.int(),
      evictions: z.int(),
      models: z.array(z.object({ name: z.string(), bytes: z.int() })),
    }),
  ),
});

async function memoryOf(address: string) {
  return memorySchema.parse(await (await fetch(`${address}/memory`)).json()).devices[0]!;
}

async function predict(address: string, model: string): Promise<number> {
  const body = JSON.stringify({ model, inputs: [1, 2] });
  const answer = await fetch(`${address}/predict`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await answer.arrayBuffer();
  return answer.status;
}

describe('a server with a memory budget', () => {
  it('answers requests for more models than fit, over every protocol, and says who is in memory', async () => {
    const names = ['a', 'b', 'c'];
    // Room for two of Node with ONNX Runtime, with or without their shared pages.
    const { address } = await runningServer(
      names.map((name) => `times-three as ${name}`),
      { memory: { budgetBytes: 220e6, measureMs: 100 } },
    );
    expect(await memoryOf(address)).toMatchObject({ budgetBytes: 220e6, usedBytes: 0, models: [] });
    for (const name of [...names, ...names]) expect(await predict(address, name)).toBe(200);
    const { usedBytes, models } = await memoryOf(address);
    expect(usedBytes).toBeLessThan(220e6);
    for (const { bytes } of models) expect(bytes).toBeGreaterThan(10e6);

    expect((await fetch(`${address}/v2/models/a/ready`)).status).toBe(200);
    for (const name of names) {
      expect((await fetch(`${address}/v2/models/${name}`)).status).toBe(200);
      expect((await fetch(`${address}/v1/models/${name}/metadata`)).status).toBe(200);
    }
  });

  it('refuses a model that does not fit with its measured size', async () => {
    const { address } = await runningServer(['times-three'], { memory: { budgetBytes: 1e6, measureMs: 60_000 } });
    const answer = await fetch(`${address}/models/times-three/predict`, {
      method: 'POST',
      body: '{"inputs":[1]}',
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({
      error: { code: 'MODEL_TOO_LARGE', message: expect.stringMatching(/it takes \d\d+\.\d MB; the budget of the device cpu is 1\.0 MB/) },
    });
  });

  it.runIf(existsSync('/proc/self/smaps_rollup'))('measures again while a model serves, and unloads what nobody uses', async () => {
    const { address, server } = await runningServer(['times-three'], { memory: { idleTimeoutMs: 50, measureMs: 20 } });
    expect(await predict(address, 'times-three')).toBe(200);
    await expect
      .poll(() => server.registry.describe('times-three').versions[0], { timeout: 10_000, interval: 5 })
      .toMatchObject({ state: 'unloaded', onDemand: true });
    expect(server.registry.memory()).toMatchObject({ usedBytes: 0, residents: [] });
    expect(await predict(address, 'times-three')).toBe(200);
  });
});
