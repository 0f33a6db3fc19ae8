import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createGroupingLauncher } from '../../../src/runners/group.ts';
import type { Runner, RunnerStatus } from '../../../src/runners/runner.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { createFakeLauncher, type FakeRunner } from '../registry/fake-launcher.ts';

async function group(instances: number, text = 'held'): Promise<{ runner: Runner; members: readonly FakeRunner[]; states: string[] }> {
  const folder = join(await temporaryFolder(), 'model', '1');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), text);
  const launcher = createFakeLauncher();
  const runner = createGroupingLauncher(launcher).launch({ folder, format: 'onnx', engine: undefined, threads: 1, instances });
  const states: string[] = [];
  runner.onStatus(({ state }: RunnerStatus) => states.push(state));
  return { runner, members: launcher.runners, states };
}

describe('several runners of one placement', () => {
  it('are ready when all are, and tell the memory of all', async () => {
    const { runner, members } = await group(3, 'held, takes 500');
    expect(members).toHaveLength(3);
    members[0]!.becomeReady();
    members[1]!.becomeReady();
    expect(runner.status.state).toBe('starting');
    const ready = runner.ready();
    members[2]!.becomeReady();
    await ready;
    expect(runner.status.state).toBe('ready');
    expect(runner.concurrency).toBe(3);
    expect(await runner.memoryBytes()).toBe(1_500);
  });

  it('have failed when one fails to load', async () => {
    const { runner, members } = await group(2);
    members[0]!.becomeReady();
    members[1]!.fail('broken');
    expect(runner.status).toMatchObject({ state: 'failed', error: { message: 'broken' } });
    await expect(runner.ready()).rejects.toMatchObject({ message: 'broken' });
    await runner.stop();
    expect(members.map(({ stopped }) => stopped)).toEqual([true, true]);
  });

  it('answer as long as one of them can, and by fewer meanwhile', async () => {
    const { runner, members, states } = await group(2, 'good');
    await runner.ready();
    members[0]!.crash('crashed', 500);
    expect(runner.status.state).toBe('ready');
    expect(runner.concurrency).toBe(1);
    expect(runner.restarts).toBe(1);
    await runner.ready();
    members[1]!.crash('crashed', 100);
    expect(runner.status).toMatchObject({ state: 'restarting', retryAfterMs: 100 });
    members[0]!.becomeReady();
    expect(runner.status.state).toBe('ready');
    members[1]!.fail('too often');
    expect(runner.status.state).toBe('ready');
    members[0]!.fail('too often');
    expect(runner.status.state).toBe('failed');
    expect(states).toEqual(['starting', 'ready', 'ready', 'restarting', 'ready', 'ready', 'failed']);
  });

  it('are one runner when one is asked for', async () => {
    const { runner, members } = await group(1);
    expect(runner).toBe(members[0]);
  });
});
