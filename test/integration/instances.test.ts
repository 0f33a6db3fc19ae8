import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runningServer } from '../helpers/running-server.ts';
import { steadyLoad } from '../helpers/steady-load.ts';

const WAIT = { timeout: 20_000, interval: 5 };
const modelSchema = z.object({
  versions: z.array(
    z.object({
      state: z.string(),
      threads: z.int(),
      restarts: z.int(),
      memoryBytes: z.int(),
      instances: z.array(z.object({ state: z.string(), pid: z.int().optional(), restarts: z.int() })),
    }),
  ),
});

async function versionAt(address: string) {
  return modelSchema.parse(await (await fetch(`${address}/models/times-three`)).json()).versions[0]!;
}

describe('a model with two instances', () => {
  it('runs in two processes, and goes on in one while the other is started again', async () => {
    const { address, server } = await runningServer(['times-three'], { runners: { instances: 2, restartBackoffMs: 10 } });
    const before = await versionAt(address);
    expect(before).toMatchObject({ state: 'ready', threads: 1, restarts: 0, instances: [{ state: 'ready' }, { state: 'ready' }] });
    const pids = before.instances.map(({ pid }) => pid!);
    expect(new Set(pids).size).toBe(2);
    expect(await (await fetch(`${address}/metrics`)).text()).toContain(
      'slipway_model_instances{model="times-three",version="1",state="ready"} 2',
    );

    const load = steadyLoad(address, '/models/times-three/predict', '{"inputs":[1,2]}');
    await load.more('200', 50);
    process.kill(pids[1]!, 'SIGKILL');
    await expect.poll(() => server.registry.describe('times-three').versions[0], WAIT).toMatchObject({ restarts: 1, state: 'ready' });
    await expect
      .poll(async () => (await versionAt(address)).instances, WAIT)
      .toMatchObject([
        { state: 'ready', pid: pids[0], restarts: 0 },
        { state: 'ready', restarts: 1 },
      ]);
    await load.more('200', 50);
    const outcomes = await load.stop();
    for (const outcome of outcomes.keys()) expect(outcome).toMatch(/^(200|503 RUNNER_CRASHED)$/);
    expect(outcomes.get('503 RUNNER_CRASHED') ?? 0).toBeLessThanOrEqual(8);
  });

  it('counts both of them in the memory budget', async () => {
    const one = await runningServer(['times-three']);
    const two = await runningServer(['times-three'], { runners: { instances: 2 } });
    const [single, double] = [one.server.registry.memory().usedBytes, two.server.registry.memory().usedBytes];
    // Not twice as much: what processes share is counted once.
    expect(double).toBeGreaterThan(1.1 * single);
  });

  it('may have them asked for by its own settings, which are followed while it serves', async () => {
    const { address, models } = await runningServer(['times-three']);
    expect((await versionAt(address)).instances).toHaveLength(1);
    const load = steadyLoad(address, '/models/times-three/predict', '{"inputs":[1,2]}', 2);
    await writeFile(join(models, 'times-three', 'slipway-model.json'), '{"instances":2}');
    await expect.poll(async () => (await versionAt(address)).instances.map(({ state }) => state), WAIT).toEqual(['ready', 'ready']);
    await load.more('200', 10);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });
});
