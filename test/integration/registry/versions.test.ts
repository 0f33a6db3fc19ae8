import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf, eventually, setUp } from './set-up.ts';

describe('versions', () => {
  it('takes a new version into service before the old one is drained', async () => {
    const { registry, add, launcher, states, events } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const release = registry.resolve({ model: 'digits' }).acquire();
    await add('digits', 2, 'held');
    await eventually(() => expect(launcher.runners).toHaveLength(2));
    expect(states('digits')).toBe('1 ready, 2 loading');
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
    launcher.runnerOf('digits/2').becomeReady();
    await eventually(() => expect(states('digits')).toBe('1 draining, 2 ready'));
    expect(registry.resolve({ model: 'digits' }).version).toBe(2);
    release();
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
    expect(launcher.runnerOf('digits/1').stopped).toBe(true);
    expect(events.map(({ version, state }) => `${version} ${state}`)).toEqual([
      '1 loading',
      '1 ready',
      '2 loading', // its files settle
      '2 loading',
      '2 ready',
      '1 draining',
      '1 unloaded',
    ]);
    const error = errorOf(() => registry.resolve({ model: 'digits', version: 1 }));
    expect(error.code).toBe('VERSION_NOT_FOUND');
    expect(error.message).toBe(
      'Version 1 of model "digits" is not loaded: its version policy leaves it out. There are 1 (unloaded), 2 (ready).',
    );
  });

  it('keeps the old version when the new one fails, and swaps once it is mended', async () => {
    const { registry, add, models, states } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    await add('digits', 2, 'broken');
    await eventually(() => expect(states('digits')).toBe('1 ready, 2 failed'));
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
    expect(registry.describe('digits').defaultVersion).toBe(1);
    expect(errorOf(() => registry.resolve({ model: 'digits', version: 2 })).code).toBe('MODEL_FAILED');
    await writeFile(join(models, 'digits', '2', 'model.onnx'), 'mended');
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
  });

  it('gives up a version that is overtaken while it loads', async () => {
    const { registry, add, launcher, states } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    await add('digits', 2, 'held');
    await eventually(() => expect(launcher.runners).toHaveLength(2));
    await add('digits', 3, 'good');
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 unloaded, 3 ready'));
    expect(launcher.runnerOf('digits/2').stopped).toBe(true);
  });

  it('ends the drain of requests that never end', async () => {
    const { registry, add, states } = await setUp({ digits: { 1: 'good' } }, { drainMs: 20 });
    await registry.start();
    const answer = registry.resolve({ model: 'digits' });
    answer.acquire();
    await add('digits', 2);
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
    expect(errorOf(() => answer.acquire()).code).toBe('MODEL_NOT_READY');
  });

  it('follows the version policy as it changes', async () => {
    const { registry, settings, states } = await setUp({ digits: { 1: 'good', 2: 'good', 3: 'good' } });
    await settings('digits', { versionPolicy: { latest: 2 } });
    await registry.start();
    expect(states('digits')).toBe('1 unloaded, 2 ready, 3 ready');
    await settings('digits', { versionPolicy: 'all' });
    await eventually(() => expect(states('digits')).toBe('1 ready, 2 ready, 3 ready'));
    await settings('digits', { versionPolicy: { versions: [1, 9] } });
    // Version 9 is not there: the highest of the others stands in for it.
    await eventually(() => expect(states('digits')).toBe('1 ready, 2 unloaded, 3 ready'));
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
    await settings('digits', { versionPolicy: { versions: [1] } });
    await eventually(() => expect(states('digits')).toBe('1 ready, 2 unloaded, 3 unloaded'));
    await rm(join(registry.folderOf('digits', 1), '..', 'slipway-model.json'));
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 unloaded, 3 ready'));
  });

  it('reloads with the threads that the settings name', async () => {
    const { registry, settings, launcher } = await setUp({ digits: { 1: 'good' } }, { threads: 3 });
    await registry.start();
    expect(launcher.runnerOf('digits/1').placement.threads).toBe(3);
    await settings('digits', { threads: 2 });
    await eventually(() => expect(launcher.runnerOf('digits/1').placement.threads).toBe(2));
  });

  it('keeps the last good settings when slipway-model.json is broken, and says what is wrong', async () => {
    const { registry, settings, states } = await setUp({ digits: { 1: 'good', 2: 'good' }, other: { 1: 'good' } });
    await settings('digits', { versionPolicy: 'all', labels: { stable: 1 } });
    await settings('other', '{"versionPolicy":');
    await registry.start();
    expect(states('other')).toBe('1 ready');
    expect(registry.describe('other').reason).toContain('slipway-model.json');
    await settings('digits', '{"versionPolicy": "none"}');
    await eventually(() => expect(registry.describe('digits').reason).toContain('slipway-model.json'));
    expect(states('digits')).toBe('1 ready, 2 ready');
    expect(registry.resolve({ model: 'digits', label: 'stable' }).version).toBe(1);
    await expect(registry.setLabel('digits', 'canary', 2)).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
    await settings('digits', {});
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
    expect(registry.describe('digits').reason).toBe('');
  });
});

describe('runners', () => {
  it('is loading while the runner restarts, and ready after it', async () => {
    const { registry, launcher } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const answer = registry.resolve({ model: 'digits' });
    const runner = launcher.runnerOf('digits/1');
    runner.crash('the process ended with signal SIGSEGV', 400);
    expect(registry.describeVersion('digits', 1)).toMatchObject({
      state: 'loading',
      reason: 'the process ended with signal SIGSEGV',
      restarts: 1,
    });
    expect(errorOf(() => registry.resolve({ model: 'digits' }))).toMatchObject({ code: 'MODEL_NOT_READY', retryAfterMs: 400 });
    runner.becomeReady();
    expect(registry.resolve({ model: 'digits' })).toBe(answer);
    expect(registry.describeVersion('digits', 1)).toMatchObject({ state: 'ready', reason: '' });
  });

  it('is failed when the runner is given up, until load is called', async () => {
    const { registry, launcher } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    launcher.runnerOf('digits/1').fail('crashed 6 times in a row');
    expect(registry.describeVersion('digits', 1)).toMatchObject({ state: 'failed', reason: 'crashed 6 times in a row' });
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_FAILED');
    expect((await registry.load('digits')).defaultVersion).toBe(1);
    expect(launcher.runners).toHaveLength(2);
    expect(launcher.runners[0]?.stopped).toBe(true);
  });
});
