import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf, eventually, setUp } from './set-up.ts';

describe('load and unload', () => {
  it('stays unloaded, whatever the disk does, until load is called', async () => {
    const { registry, launcher, add, states } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const release = registry.resolve({ model: 'digits' }).acquire();
    const unloaded = registry.unload('digits');
    await eventually(() => expect(states('digits')).toBe('1 draining'));
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_UNLOADED');
    release();
    expect((await unloaded).versions).toMatchObject([{ version: 1, state: 'unloaded', reason: 'unloaded by request' }]);
    expect(launcher.runnerOf('digits/1').stopped).toBe(true);
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_UNLOADED');
    expect(errorOf(() => registry.resolve({ model: 'digits', version: 1 })).code).toBe('MODEL_UNLOADED');
    await add('digits', 2);
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 unloaded'));
    expect(launcher.runners).toHaveLength(1);
    await registry.load('digits');
    expect(states('digits')).toBe('1 unloaded, 2 ready');
    expect(registry.describeVersion('digits', 1).reason).toBe('the version policy does not select it');
  });

  it('gives up a load that hangs', async () => {
    const { registry, launcher } = await setUp({ digits: { 1: 'held' } });
    const started = registry.start();
    await eventually(() => expect(launcher.runners).toHaveLength(1));
    await registry.unload('digits');
    await started;
    expect(launcher.runners[0]?.stopped).toBe(true);
  });

  it('does changes of one model one after the other', async () => {
    const { registry, launcher } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    await Promise.all([registry.unload('digits'), registry.load('digits'), registry.unload('digits'), registry.load('digits')]);
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
    expect(launcher.runners.filter(({ stopped }) => !stopped)).toHaveLength(1);
  });

  it('loads a model that was copied in just now, at once', async () => {
    const { registry, add } = await setUp({}, { repository: { watch: false, pollMs: 1_000_000, settleMs: 1_000_000 } });
    await registry.start();
    await add('digits', 1);
    expect((await registry.load('digits')).defaultVersion).toBe(1);
    await expect(registry.load('other')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(registry.load('../digits')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(registry.list()).toHaveLength(1);
  });

  it('tells of a failed load without rejecting', async () => {
    const { registry, models } = await setUp({ digits: { 1: 'broken' } });
    await registry.start();
    expect((await registry.load('digits')).versions).toMatchObject([{ state: 'failed' }]);
    await rm(join(models, 'digits'), { recursive: true });
    await expect(registry.load('digits')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});
