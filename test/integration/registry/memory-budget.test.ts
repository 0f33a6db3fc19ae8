import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ModelReference, ReadyVersion, Registry } from '../../../src/registry/types.ts';
import { eventually, setUp, type Setup } from './set-up.ts';

const MEMORY = { budgetBytes: 1_000, measureMs: 60_000 };

/** Files of no size to speak of, whose runners take so many bytes. */
const takes = (bytes: number): string => `takes ${bytes}`;

function ask(registry: Registry, model: string, reference: Omit<ModelReference, 'model'> = {}): Promise<ReadyVersion> {
  return registry.demand({ model, ...reference }, { deadline: performance.now() + 10_000, signal: undefined });
}

function inMemory({ registry }: Setup): string[] {
  return registry
    .memory()
    .residents.map(({ name }) => name)
    .toSorted();
}

describe('a registry with a memory budget', () => {
  it('loads a model by its first request, once for all who ask', async () => {
    const setup = await setUp({ a: { 1: 'held' } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    await registry.start();
    expect(launcher.runners).toHaveLength(0);
    expect(registry.describe('a').versions).toMatchObject([{ state: 'unloaded', onDemand: true }]);
    const both = Promise.all([ask(registry, 'a'), ask(registry, 'a', { version: 1 })]);
    await eventually(() => expect(launcher.runners).toHaveLength(1));
    launcher.runnerOf('a/1').becomeReady();
    const [first, second] = await both;
    expect(first).toBe(second);
    expect(launcher.runners).toHaveLength(1);
    expect(registry.find({ model: 'a' })).toBe(first);
  });

  it('lets the model leave that was not used for longest, and loads it again when it is asked for', async () => {
    const setup = await setUp({ a: { 1: takes(400) }, b: { 1: takes(400) }, c: { 1: takes(400) } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    await registry.start();
    await ask(registry, 'a');
    await ask(registry, 'b');
    (await ask(registry, 'a')).acquire()();
    await ask(registry, 'c');
    await eventually(() => expect(inMemory(setup)).toEqual(['a/1', 'c/1']));
    expect(launcher.runnerOf('b/1').stopped).toBe(true);
    expect(registry.describe('b').versions).toMatchObject([{ state: 'unloaded', onDemand: true, reason: expect.stringContaining('c/1') }]);
    expect((await ask(registry, 'b')).model).toBe('b');
    expect(registry.memory()).toMatchObject({ limitBytes: 1_000, loads: 4, evictions: 2, refusals: 0, waiting: 0 });
  });

  it('never ends a model before the requests in flight have ended', async () => {
    const setup = await setUp({ a: { 1: takes(900) }, b: { 1: takes(900) } }, { memory: MEMORY, drainMs: 1 });
    const { registry, launcher } = setup;
    await registry.start();
    const release = (await ask(registry, 'a')).acquire();
    const other = ask(registry, 'b');
    await eventually(() => expect(registry.describe('a').versions[0]?.state).toBe('draining'));
    expect(launcher.runnerOf('a/1').stopped).toBe(false);
    expect(launcher.runners).toHaveLength(1);
    release();
    expect((await other).model).toBe('b');
    expect(launcher.runnerOf('a/1').stopped).toBe(true);
  });

  it('gives whoever has a version in hand the time to take hold of it', async () => {
    const setup = await setUp({ a: { 1: takes(900) }, b: { 1: takes(900) } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    await registry.start();
    const version = await ask(registry, 'a');
    const other = ask(registry, 'b'); // begins to let `a` leave in one of the next turns
    const release = version.acquire();
    await eventually(() => expect(registry.describe('a').versions[0]?.state).toBe('draining'));
    expect(launcher.runnerOf('a/1').stopped).toBe(false);
    release();
    await other;
  });

  it('loads pinned models at the start and keeps them', async () => {
    const setup = await setUp({ a: { 1: takes(600) }, b: { 1: takes(300) }, c: { 1: takes(300) } }, { memory: MEMORY });
    const { registry } = setup;
    await setup.settings('a', { pinned: true });
    await registry.start();
    expect(inMemory(setup)).toEqual(['a/1']);
    await ask(registry, 'b');
    await ask(registry, 'c');
    await eventually(() => expect(inMemory(setup)).toEqual(['a/1', 'c/1']));
    expect(registry.describe('a')).toMatchObject({ pinned: true, versions: [{ state: 'ready' }] });
  });

  it('refuses what can not fit with the figures, and at once when it has measured it', async () => {
    const setup = await setUp({ a: { 1: takes(600) }, big: { 1: takes(500) } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    await setup.settings('a', { pinned: true });
    await registry.start();
    const refused = {
      code: 'MODEL_TOO_LARGE',
      message: expect.stringMatching(/big\/1 .* 0\.0 MB; the budget of the device cpu is 0\.0 MB, of which pinned models hold/),
    };
    await expect(ask(registry, 'big')).rejects.toMatchObject(refused);
    expect(launcher.runnerOf('big/1').stopped).toBe(true);
    const launched = launcher.runners.length;
    await expect(ask(registry, 'big')).rejects.toMatchObject(refused);
    expect(launcher.runners).toHaveLength(launched);
    expect(inMemory(setup)).toEqual(['a/1']);
    await setup.settings('a', {});
    await eventually(async () => expect((await ask(registry, 'big')).model).toBe('big'));
  });

  it('does not load a model whose files alone are too large', async () => {
    const setup = await setUp({ a: { 1: 'x'.repeat(2_000) } }, { memory: MEMORY });
    await setup.registry.start();
    await expect(ask(setup.registry, 'a')).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE' });
    expect(setup.launcher.runners).toHaveLength(0);
  });

  it('says why a model that can not be loaded is not, and loads it when its files are mended', async () => {
    const setup = await setUp({ a: { 1: 'broken' } }, { memory: MEMORY });
    const { registry } = setup;
    await registry.start();
    await expect(ask(registry, 'a')).rejects.toMatchObject({ code: 'MODEL_FAILED', message: expect.stringContaining('broken') });
    expect(inMemory(setup)).toEqual([]);
    await setup.add('a', 2);
    await eventually(async () => expect((await ask(registry, 'a')).version).toBe(2));
  });

  it('looks at the files of a model when it is asked for, at the first time and at later ones', async () => {
    const setup = await setUp({ a: { 1: 'broken' }, b: { 1: takes(950) } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    const file = join(setup.models, 'a/1/model.onnx');
    await registry.start();
    await writeFile(file, takes(100));
    expect((await ask(registry, 'a')).version).toBe(1);
    await ask(registry, 'b');
    await eventually(() => expect(inMemory(setup)).toEqual(['b/1']));
    await writeFile(file, takes(200));
    await ask(registry, 'a');
    expect(registry.memory().residents).toMatchObject([{ name: 'a/1', bytes: 200 }]);
    const launches = launcher.runners.length;
    await writeFile(file, takes(300)); // in memory it is followed
    await eventually(() => expect(launcher.runners).toHaveLength(launches + 1));
  });

  it('loads by a request what has failed before, once it is mended in place', async () => {
    const setup = await setUp({ a: { 1: 'broken' } }, { memory: MEMORY });
    const { registry } = setup;
    await registry.start();
    await expect(ask(registry, 'a')).rejects.toMatchObject({ code: 'MODEL_FAILED' });
    await writeFile(join(setup.models, 'a/1/model.onnx'), 'good');
    await eventually(async () => expect((await ask(registry, 'a')).version).toBe(1));
  });

  it('takes a folder without a file for no version', async () => {
    const setup = await setUp({ a: { 1: 'good' } }, { memory: MEMORY });
    await mkdir(join(setup.models, 'a/2/weights'), { recursive: true });
    await setup.registry.start();
    expect((await ask(setup.registry, 'a')).version).toBe(1);
  });

  it('follows a version in use by the next one without a pause, and one that is not in use by none', async () => {
    const setup = await setUp({ a: { 1: takes(100) }, b: { 1: takes(100) } }, { memory: MEMORY });
    const { registry, launcher } = setup;
    await registry.start();
    await ask(registry, 'a');
    await setup.add('a', 2, 'held');
    await setup.add('b', 2, takes(100));
    await eventually(() => expect(setup.states('a')).toBe('1 ready, 2 loading'));
    expect((await ask(registry, 'a')).version).toBe(1);
    await eventually(() => launcher.runnerOf('a/2'));
    launcher.runnerOf('a/2').becomeReady();
    await eventually(() => expect(setup.states('a')).toBe('1 unloaded, 2 ready'));
    await eventually(() => expect(setup.states('b')).toBe('1 unloaded, 2 unloaded'));
    expect((await ask(registry, 'b')).version).toBe(2);
  });

  it('answers from the version that is chosen, whichever is in memory', async () => {
    const setup = await setUp({ a: { 1: takes(100), 2: takes(100) } }, { memory: MEMORY });
    const { registry } = setup;
    await setup.settings('a', { versionPolicy: 'all', labels: { stable: 1 } });
    await registry.start();
    expect((await ask(registry, 'a', { label: 'stable' })).version).toBe(1);
    expect((await ask(registry, 'a')).version).toBe(2);
  });

  it('does not load for a request what was unloaded by request, and loads it for `load`', async () => {
    const setup = await setUp({ a: { 1: takes(100) } }, { memory: MEMORY });
    const { registry } = setup;
    await registry.start();
    await registry.unload('a');
    await expect(ask(registry, 'a')).rejects.toMatchObject({ code: 'MODEL_UNLOADED' });
    expect(await registry.load('a')).toMatchObject({ versions: [{ state: 'ready' }] });
  });

  it('takes a published model in, on trial and for good', async () => {
    const setup = await setUp({ a: { 1: takes(900) } }, { memory: MEMORY });
    const { registry } = setup;
    await registry.start();
    await ask(registry, 'a');
    await registry.publish('b', undefined, await setup.prepare(takes(900)));
    expect((await ask(registry, 'b')).version).toBe(1);
    await expect(registry.publish('b', undefined, await setup.prepare(takes(1_100)))).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE' });
    expect((await ask(registry, 'b')).version).toBe(1);
  });

  it('lets requests wait in bounds of number and time, and go away', async () => {
    const setup = await setUp({ a: { 1: 'held' } }, { memory: MEMORY, maxWaiting: 2 });
    const { registry, launcher } = setup;
    await registry.start();
    const gone = new AbortController();
    const first = registry.demand({ model: 'a' }, { deadline: performance.now() + 10_000, signal: gone.signal });
    const late = registry.demand({ model: 'a' }, { deadline: performance.now() + 1, signal: undefined });
    await expect(ask(registry, 'a')).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    await expect(late).rejects.toMatchObject({ code: 'MODEL_NOT_READY' });
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    const patient = ask(registry, 'a');
    await eventually(() => expect(launcher.runners).toHaveLength(1));
    launcher.runnerOf('a/1').becomeReady();
    expect((await patient).version).toBe(1);
  });

  it('unloads what nobody uses, where it is told to', async () => {
    const setup = await setUp({ a: { 1: takes(100) } }, { memory: { measureMs: 60_000, idleTimeoutMs: 20 } });
    const { registry } = setup;
    await registry.start();
    const release = (await ask(registry, 'a')).acquire();
    expect(setup.states('a')).toBe('1 ready');
    release();
    await eventually(() => expect(setup.states('a')).toBe('1 unloaded'));
    expect((await ask(registry, 'a')).version).toBe(1);
  });
});
