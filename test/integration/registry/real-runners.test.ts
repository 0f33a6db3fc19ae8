import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { createRunnerLauncher } from '../../../src/runners/host/launcher.ts';
import type { RunnerLauncher } from '../../../src/runners/runner.ts';
import type { NamedTensors } from '../../../src/tensor/tensor.ts';
import { errorOf, eventually, setUp } from './set-up.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 30_000 });

/** Launches Slipway's own child program, or one of a test's making. */
function launcherOf(program?: string): RunnerLauncher {
  return createRunnerLauncher({
    loadTimeoutMs: 20_000,
    heartbeatMs: 1_000,
    unresponsiveMs: 20_000,
    restartBackoffMs: 10,
    maxRestarts: 3,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    env: process.env,
    ...(program !== undefined && { childProgram: new URL(`runners/${program}`, FIXTURES) }),
  });
}

function floats(value: number): NamedTensors {
  return new Map([['x', { dtype: 'FP32', shape: [1], data: Float32Array.of(value) }]]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('with real processes', () => {
  it('swaps to a new version, restarts after a crash, and leaves no process behind', async () => {
    const { registry, add, states, events } = await setUp({ digits: { 1: 'good' } }, { launcher: launcherOf('exit-mid-run.ts') });
    await registry.start();
    const first = registry.resolve({ model: 'digits' });
    const firstPid = registry.describeVersion('digits', 1).loaded?.pid ?? 0;
    const release = first.acquire();
    await add('digits', 2);
    await eventually(() => expect(registry.resolve({ model: 'digits' }).version).toBe(2));
    // The old version still answers the request that holds it.
    const { outputs } = await first.runner.run([floats(5)], ['x']);
    expect(outputs.get('x')?.data).toEqual(Float32Array.of(5));
    expect(isAlive(firstPid)).toBe(true);
    release();
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
    expect(isAlive(firstPid)).toBe(false);

    const second = registry.resolve({ model: 'digits' });
    await expect(second.runner.run([floats(13)], ['x'])).rejects.toMatchObject({ code: 'RUNNER_CRASHED' });
    await eventually(() => expect(registry.describeVersion('digits', 2)).toMatchObject({ state: 'ready', restarts: 1 }));
    expect(events).toContainEqual({ model: 'digits', version: 2, state: 'loading', reason: expect.stringContaining('7') as string });
    expect(registry.resolve({ model: 'digits' })).toBe(second);

    const secondPid = registry.describeVersion('digits', 2).loaded?.pid ?? 0;
    expect(isAlive(secondPid)).toBe(true);
    await registry.stop();
    expect(isAlive(secondPid)).toBe(false);
  });

  it('serves a real model beside a damaged one', async () => {
    const { registry, models } = await setUp({}, { launcher: launcherOf() });
    for (const name of ['times-three', 'broken-onnx']) {
      await cp(fileURLToPath(new URL(`models/${name}`, FIXTURES)), join(models, name), { recursive: true });
    }
    await registry.start();
    const { runner, signature } = registry.resolve({ model: 'times-three' });
    const [input, output] = [signature.inputs[0]?.name ?? '', signature.outputs[0]?.name ?? ''];
    const { outputs } = await runner.run([new Map([[input, { dtype: 'FP32', shape: [2], data: Float32Array.of(2, 5) }]])], [output]);
    expect(outputs.get(output)?.data).toEqual(Float32Array.of(6, 15));
    expect(registry.describeVersion('times-three', 1).loaded).toMatchObject({ engine: 'onnx', device: 'cpu' });
    const broken = registry.describeVersion('broken-onnx', 1);
    expect(broken.state).toBe('failed');
    expect(broken.reason).toContain('model.onnx');
  });

  it('says why a model does not load', async () => {
    const { registry } = await setUp({ digits: { 1: 'good' } }, { launcher: launcherOf('refuse-load.ts') });
    await registry.start();
    expect(registry.describeVersion('digits', 1)).toMatchObject({ state: 'failed', reason: 'model.onnx is damaged at byte 12.' });
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_FAILED');
  });
});
