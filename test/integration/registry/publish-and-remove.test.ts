import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { errorOf, eventually, setUp } from './set-up.ts';

describe('publish', () => {
  const slow = { watch: false, pollMs: 1_000_000, settleMs: 1_000_000 };

  it('makes a new model, numbers its versions and loads them at once', async () => {
    const { registry, prepare, states } = await setUp({}, { repository: slow });
    await registry.start();
    expect(await registry.publish('digits', undefined, await prepare())).toMatchObject({ version: 1, state: 'ready' });
    expect(await registry.publish('digits', 7, await prepare())).toMatchObject({ version: 7, state: 'ready' });
    expect(await registry.publish('digits', undefined, await prepare())).toMatchObject({ version: 8, state: 'ready' });
    expect(registry.resolve({ model: 'digits' }).version).toBe(8);
    expect(await registry.publish('digits', 2, await prepare())).toMatchObject({ version: 2, state: 'unloaded' });
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 unloaded, 7 unloaded, 8 ready'));
  });

  it('is not loaded a second time by the watcher', async () => {
    const { registry, prepare, launcher, add } = await setUp({}, { repository: { watch: true, pollMs: 5, settleMs: 1 } });
    await registry.start();
    await registry.publish('digits', undefined, await prepare());
    // The watcher has come by when it has found what came later.
    await add('marker', 1);
    await eventually(() => expect(registry.resolve({ model: 'marker' }).version).toBe(1));
    expect(launcher.runners.filter(({ placement }) => placement.folder.includes('/digits/'))).toHaveLength(1);
  });

  it('gives concurrent uploads different numbers', async () => {
    const { registry, prepare, models } = await setUp({}, { repository: slow });
    await registry.start();
    const folders = await Promise.all(Array.from({ length: 5 }, () => prepare()));
    const published = await Promise.all(folders.map((folder) => registry.publish('digits', undefined, folder)));
    expect(published.map(({ version }) => version).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
    expect((await readdir(join(models, 'digits'))).toSorted()).toEqual(['1', '2', '3', '4', '5']);
    expect(registry.resolve({ model: 'digits' }).version).toBe(5);
  });

  it('is not lost when others ask for the model before it is there', async () => {
    const { registry, prepare } = await setUp({}, { repository: slow });
    await registry.start();
    let published = false;
    const folder = await prepare();
    const publishing = registry.publish('digits', undefined, folder).finally(() => (published = true));
    while (!published) {
      await Promise.all([1, 2, 3].map(() => registry.load('digits').catch(() => undefined)));
    }
    expect(await publishing).toMatchObject({ version: 1, state: 'ready' });
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
  });

  it('never overwrites a version, not even an empty one', async () => {
    const { registry, prepare, models } = await setUp({ digits: { 1: 'good' } }, { repository: slow });
    await registry.start();
    const folder = await prepare('other');
    await expect(registry.publish('digits', 1, folder)).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
    expect(await readFile(join(models, 'digits', '1', 'model.onnx'), 'utf8')).toBe('good');
    await mkdir(join(models, 'digits', '2'));
    await expect(registry.publish('digits', 2, folder)).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
    expect(await registry.publish('digits', undefined, folder)).toMatchObject({ version: 3 });
  });

  it('refuses what is no model, and names that are not allowed, and leaves no trace', async () => {
    const { registry, prepare, models } = await setUp({}, { repository: slow });
    await registry.start();
    const hollow = await temporaryFolder();
    await writeFile(join(hollow, 'readme.txt'), '');
    await expect(registry.publish('digits', undefined, hollow)).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await expect(registry.publish('../digits', undefined, await prepare())).rejects.toMatchObject({ code: 'INVALID_NAME' });
    await expect(registry.publish('digits', 0, await prepare())).rejects.toMatchObject({ code: 'INVALID_NAME' });
    expect(await readdir(models)).toEqual([]);
    expect(registry.list()).toEqual([]);
  });

  it('refuses a version that does not load; the one before goes on', async () => {
    const { registry, prepare, models } = await setUp({ digits: { 1: 'good' } }, { repository: slow });
    await registry.start();
    await expect(registry.publish('digits', undefined, await prepare('broken'))).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: 'model.onnx: broken',
    });
    expect(await readdir(join(models, 'digits'))).toEqual(['1']);
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
  });

  it('leaves an unloaded model unloaded', async () => {
    const { registry, prepare, launcher } = await setUp({ digits: { 1: 'good' } }, { repository: slow });
    await registry.start();
    await registry.unload('digits');
    const running = (): unknown[] => launcher.runners.filter(({ stopped }) => !stopped);
    expect(await registry.publish('digits', undefined, await prepare())).toMatchObject({
      version: 2,
      state: 'unloaded',
      reason: 'unloaded by request',
    });
    expect(running()).toEqual([]);
  });
});

describe('remove', () => {
  it('has the version before in service first, then drains and deletes', async () => {
    const { registry, launcher, models, states, events } = await setUp({ digits: { 1: 'held', 2: 'good' } });
    await registry.start();
    await registry.setLabel('digits', 'stable', 2);
    const release = registry.resolve({ model: 'digits' }).acquire();
    const removed = registry.remove('digits', 2);
    await eventually(() => expect(launcher.runners).toHaveLength(2));
    expect(registry.resolve({ model: 'digits' }).version).toBe(2);
    await expect(registry.remove('digits', 2)).rejects.toMatchObject({ code: 'MODEL_BUSY' });
    await expect(registry.setLabel('digits', 'canary', 2)).rejects.toMatchObject({ code: 'MODEL_BUSY' });
    launcher.runnerOf('digits/1').becomeReady();
    await eventually(() => expect(states('digits')).toBe('1 ready, 2 draining'));
    expect(await readdir(join(models, 'digits'))).toContain('2');
    release();
    await removed;
    const told = events.filter(({ version }) => version === 2).map(({ state, reason }) => `${state}: ${reason}`);
    expect(told.slice(-2)).toEqual(['draining: it is being removed', 'unloaded: it is being removed']);
    expect(states('digits')).toBe('1 ready');
    expect(registry.describe('digits').labels).toEqual({});
    expect((await readdir(join(models, 'digits'))).toSorted()).toEqual(['1', 'slipway-model.json']);
    await expect(registry.remove('digits', 2)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
  });

  it('removes the model with its last version', async () => {
    const { registry, models, settings, launcher } = await setUp({ digits: { 1: 'good' } });
    await settings('digits', { threads: 1 });
    await registry.start();
    await registry.remove('digits', 1);
    expect(await readdir(models)).toEqual([]);
    expect(registry.list()).toEqual([]);
    expect(launcher.runners.every(({ stopped }) => stopped)).toBe(true);
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_NOT_FOUND');
  });

  it('leaves files of others in the model folder, and what a link leads to', async () => {
    const { registry, models, prepare } = await setUp();
    const target = await prepare();
    await mkdir(join(models, 'digits'), { recursive: true });
    await symlink(target, join(models, 'digits', '1'));
    await writeFile(join(models, 'digits', 'notes.txt'), 'mine');
    await registry.start();
    await registry.remove('digits', 1);
    expect(await readdir(join(models, 'digits'))).toEqual(['notes.txt']);
    expect(await readdir(target)).toEqual(['model.onnx']);
  });

  it('finishes deletions that were cut short', async () => {
    const { registry, models } = await setUp({ digits: { 1: 'good' } });
    await cp(join(models, 'digits', '1'), join(models, 'digits', '.slipway-removed-2-x'), { recursive: true });
    await registry.start();
    await eventually(async () => expect(await readdir(join(models, 'digits'))).toEqual(['1']));
  });

  it('does not confuse a removal with a publication at the same time', async () => {
    const { registry, prepare, models, launcher } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const [, published] = await Promise.all([registry.remove('digits', 1), registry.publish('digits', undefined, await prepare())]);
    expect(await readdir(join(models, 'digits'))).toEqual([String(published.version)]);
    expect(registry.resolve({ model: 'digits' }).version).toBe(published.version);
    expect(launcher.runners.filter(({ stopped }) => !stopped)).toHaveLength(1);
  });
});
