import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createMemoryBudget } from '../../../src/registry/memory/budget.ts';
import { createSemaphore, type Semaphore } from '../../../src/concurrency/semaphore.ts';
import { createVersion, type Version } from '../../../src/registry/version.ts';
import { readVersionFolder } from '../../../src/packages/read-version.ts';
import type { RunnerLauncher } from '../../../src/runners/runner.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { createFakeLauncher, type FakeLauncher } from './fake-launcher.ts';

interface Setup {
  readonly version: Version;
  readonly fake: FakeLauncher;
  readonly states: string[];
  write(text: string): Promise<void>;
}

async function setUp(text: string, options: { launcher?: RunnerLauncher; loadSlots?: Semaphore; drainMs?: number } = {}): Promise<Setup> {
  const folder = await temporaryFolder();
  const fake = createFakeLauncher();
  const states: string[] = [];
  const budget = createMemoryBudget({
    limitBytes: undefined,
    idleTimeoutMs: undefined,
    measureMs: 60_000,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  onTestFinished(() => budget.stop());
  const version = createVersion({
    model: 'digits',
    version: 1,
    folder,
    reason: 'not loaded yet',
    launcher: fake,
    drainMs: 10_000,
    loadSlots: createSemaphore(1),
    budget,
    trustedKeys: undefined,
    isPinned: () => false,
    onChange: ({ state }) => states.push(state),
    ...options,
  });
  onTestFinished(() => version.drain('the test has ended'));
  const write = (next: string): Promise<void> => writeFile(join(folder, 'model.onnx'), next);
  await write(text);
  return { version, fake, states, write };
}

const source = (fingerprint: string, threads = 1) => ({ fingerprint, threads, instances: 1 });

async function launched(fake: FakeLauncher, count: number): Promise<void> {
  await vi.waitFor(() => expect(fake.runners).toHaveLength(count), { timeout: 10_000, interval: 2 });
}

describe('createVersion', () => {
  it('goes from unloaded over loading to ready, and over draining to unloaded', async () => {
    const { version, fake, states } = await setUp('good');
    expect([version.state, version.reason, version.answer]).toEqual(['unloaded', 'not loaded yet', undefined]);
    await version.load(source('a', 3));
    expect([version.state, version.reason]).toEqual(['ready', '']);
    expect(fake.runners[0]?.placement).toMatchObject({ format: 'onnx', engine: undefined, threads: 3, instances: 1 });
    expect(version.source).toEqual(source('a', 3));
    await version.drain('no longer needed');
    expect([version.state, version.reason, version.answer, version.source]).toEqual(['unloaded', 'no longer needed', undefined, undefined]);
    expect(states).toEqual(['loading', 'ready', 'draining', 'unloaded']);
    expect(fake.runners[0]?.stopped).toBe(true);
  });

  it('loads once for the same source asked for twice', async () => {
    const { version, fake } = await setUp('good');
    await Promise.all([version.load(source('a')), version.load(source('a'))]);
    expect(fake.runners).toHaveLength(1);
  });

  it('gives up a load under way when the source has changed', async () => {
    const { version, fake, write } = await setUp('held');
    const first = version.load(source('a'));
    await launched(fake, 1);
    await write('good');
    await version.load(source('b'));
    await first;
    expect(fake.runners.map(({ stopped }) => stopped)).toEqual([true, false]);
    expect(version.answer?.runner).toBe(fake.runners[1]);
  });

  it('gives up a load that is drained: while it waits for its turn', async () => {
    const loadSlots = createSemaphore(1);
    const giveBack = await loadSlots.acquire();
    const { version, fake } = await setUp('good', { loadSlots });
    const loading = version.load(source('a'));
    expect(version.state).toBe('loading');
    await version.drain('changed my mind');
    await loading;
    expect([version.state, version.reason]).toEqual(['unloaded', 'changed my mind']);
    giveBack();
    (await loadSlots.acquire())(); // the slot was not lost
    expect(fake.runners).toHaveLength(0);
  });

  it('gives up a load that is drained: while its runner starts, even one that never says a word', async () => {
    const { version, fake } = await setUp('held', {
      launcher: {
        launch(placement) {
          return { ...fake.launch(placement), status: { state: 'starting' }, ready: () => new Promise(() => undefined) };
        },
      },
    });
    const loading = version.load(source('a'));
    await launched(fake, 1);
    await version.drain('changed my mind');
    await loading;
    expect(fake.runners[0]?.stopped).toBe(true);
    expect(version.state).toBe('unloaded');
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('does not serve a runner that became ready %i turns before the drain', async (turns) => {
    const { version, fake } = await setUp('held');
    const loading = version.load(source('a'));
    await launched(fake, 1);
    fake.runners[0]?.becomeReady();
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    const drained = version.drain('changed my mind');
    await Promise.all([loading, drained]);
    expect(version.state).toBe('unloaded');
    expect(fake.runners[0]?.stopped).toBe(true);
  });

  it('loads again after a drain that is under way', async () => {
    const { version, fake } = await setUp('good');
    await version.load(source('a'));
    const release = version.answer?.acquire();
    const drained = version.drain('for now');
    const loading = version.load(source('a'));
    expect(version.state).toBe('draining');
    for (let round = 0; round < 5; round += 1) await readVersionFolder(version.folder); // longer than a load takes to begin
    expect(fake.runners).toHaveLength(1);
    release?.();
    await Promise.all([drained, loading]);
    expect(version.state).toBe('ready');
    expect(fake.runners.map(({ stopped }) => stopped)).toEqual([true, false]);
  });

  it('fails with the reason when its folder can not be read, without a runner', async () => {
    const { version, fake } = await setUp('good');
    await rm(join(version.folder, 'model.onnx'));
    await version.load(source('a'));
    expect(version.state).toBe('failed');
    expect(version.reason).not.toBe('');
    expect(version.loadFailed).toBe(true);
    expect(fake.runners).toHaveLength(0);
  });

  it('fails with the reason when the launcher throws', async () => {
    const launcher: RunnerLauncher = {
      launch() {
        throw new Error('no more processes');
      },
    };
    const { version } = await setUp('good', { launcher });
    await version.load(source('a'));
    expect([version.state, version.reason]).toEqual(['failed', 'no more processes']);
  });

  it('fails when the runner is given up in the moment it became ready', async () => {
    const { version, fake } = await setUp('held');
    const loading = version.load(source('a'));
    await launched(fake, 1);
    fake.runners[0]?.becomeReady();
    fake.runners[0]?.fail('crashed at once');
    await loading;
    expect([version.state, version.reason, version.answer]).toEqual(['failed', 'crashed at once', undefined]);
  });

  it('keeps the slot for loads free while a runner restarts', async () => {
    const loadSlots = createSemaphore(1);
    const { version, fake } = await setUp('held', { loadSlots });
    const loading = version.load(source('a'));
    await launched(fake, 1);
    fake.runners[0]?.crash('it fell over', 250);
    (await loadSlots.acquire())();
    expect([version.state, version.reason, version.retryAfterMs]).toEqual(['loading', 'it fell over', 250]);
    fake.runners[0]?.becomeReady();
    await loading;
    expect(version.state).toBe('ready');
  });

  it('describes what serves, also when a reload failed', async () => {
    const { version, write } = await setUp('good');
    await writeFile(join(version.folder, 'slipway.json'), '{"description":"first"}');
    await version.load(source('a'));
    await write('broken');
    await writeFile(join(version.folder, 'slipway.json'), '{"description":"second"}');
    await version.load(source('b'));
    expect(version.describe()).toMatchObject({ state: 'ready', manifest: { description: 'first' }, restarts: 0 });
    expect(version.reason).toMatch(/serves its earlier files; .*model\.onnx: broken/);
    expect(version.loadFailed).toBe(true);
  });

  it('takes the new runner when the old one dies while it loads', async () => {
    const { version, fake, write } = await setUp('good');
    await version.load(source('a'));
    await write('held');
    const loading = version.load(source('b'));
    await launched(fake, 2);
    fake.runners[0]?.fail('crashed for good');
    expect(version.state).toBe('loading');
    fake.runners[1]?.becomeReady();
    await loading;
    expect([version.state, version.reason]).toEqual(['ready', '']);
  });
});
