import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf, eventually, setUp } from './set-up.ts';

describe('resolve', () => {
  it('names the known models that look most alike', async () => {
    const names = ['digits', 'digit', 'sentiment', 'fashion', 'iris', 'mnist'];
    const { registry } = await setUp(Object.fromEntries(names.map((name) => [name, { 1: 'good' }])));
    await registry.start();
    const error = errorOf(() => registry.resolve({ model: 'Digist' }));
    expect(error.code).toBe('MODEL_NOT_FOUND');
    expect(error.message).toMatch(/^There is no model "Digist"\. There are "digit", "digits", .* and 1 more\.$/);
  });

  it('says which versions there are', async () => {
    const { registry } = await setUp({ digits: { 4: 'good' } });
    await registry.start();
    const error = errorOf(() => registry.resolve({ model: 'digits', version: 5 }));
    expect([error.code, error.message]).toEqual(['VERSION_NOT_FOUND', 'Model "digits" has no version 5. There is 4 (ready).']);
    expect(errorOf(() => registry.describeVersion('digits', 5)).code).toBe('VERSION_NOT_FOUND');
    expect(errorOf(() => registry.describe('digit')).code).toBe('MODEL_NOT_FOUND');
    expect(registry.folderOf('digits', 4)).toMatch(/models\/digits\/4$/);
  });

  it.each(['__proto__', 'constructor', 'toString'])('knows no model or label %s', async (name) => {
    const { registry } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    expect(errorOf(() => registry.resolve({ model: name })).code).toBe('MODEL_NOT_FOUND');
    expect(errorOf(() => registry.resolve({ model: 'digits', label: name })).code).toBe('LABEL_NOT_FOUND');
  });
});

describe('labels', () => {
  it('point at a version, load it and are kept', async () => {
    const { registry, models, settings, states } = await setUp({ digits: { 1: 'good', 2: 'good' } });
    await settings('digits', { threads: 1 });
    await registry.start();
    expect(errorOf(() => registry.resolve({ model: 'digits', label: 'stable' })).code).toBe('LABEL_NOT_FOUND');
    expect((await registry.setLabel('digits', 'stable', 1)).labels).toEqual({ stable: 1 });
    await eventually(() => expect(registry.resolve({ model: 'digits', label: 'stable' }).version).toBe(1));
    expect(registry.resolve({ model: 'digits' }).version).toBe(2);
    const written: unknown = JSON.parse(await readFile(join(models, 'digits', 'slipway-model.json'), 'utf8'));
    expect(written).toMatchObject({ labels: { stable: 1 }, threads: 1 });
    expect(await readdir(join(models, 'digits'))).toHaveLength(3);
    await registry.setLabel('digits', 'stable', 2);
    await eventually(() => expect(states('digits')).toBe('1 unloaded, 2 ready'));
    expect((await registry.removeLabel('digits', 'stable')).labels).toEqual({});
    await expect(registry.removeLabel('digits', 'stable')).rejects.toMatchObject({ code: 'LABEL_NOT_FOUND' });
  });

  it('are refused for versions that are not there and names that are not allowed', async () => {
    const { registry } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    await expect(registry.setLabel('digits', 'stable', 7)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(registry.setLabel('digits', 'a b', 1)).rejects.toMatchObject({ code: 'INVALID_NAME' });
    await expect(registry.setLabel('none', 'stable', 1)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('answer as their version does', async () => {
    const { registry, settings } = await setUp({ digits: { 1: 'broken', 2: 'good' } });
    await settings('digits', { labels: { canary: 1, gone: 9 } });
    await registry.start();
    expect(errorOf(() => registry.resolve({ model: 'digits', label: 'canary' })).code).toBe('MODEL_FAILED');
    expect(errorOf(() => registry.resolve({ model: 'digits', label: 'gone' })).code).toBe('VERSION_NOT_FOUND');
    expect(registry.describe('digits').reason).toBe('Label "gone" points at version 9, which is not there.');
    expect(registry.resolve({ model: 'digits' }).version).toBe(2);
  });
});
