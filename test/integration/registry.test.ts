import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SlipwayError } from '../../src/errors/slipway-error.ts';
import type { Logger } from '../../src/observability/log.ts';
import { createRegistry, type RegistryOptions, type StateChange } from '../../src/registry/registry.ts';
import type { Registry, VersionState } from '../../src/registry/types.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { createFakeLauncher, type FakeLauncher } from '../unit/registry/fake-launcher.ts';

interface Setup {
  readonly registry: Registry;
  readonly launcher: FakeLauncher;
  /** The model repository. */
  readonly models: string;
  readonly events: StateChange[];
  readonly logged: string[];
  /** Writes a version whose model.onnx has this text, at once. */
  add(model: string, version: number, text?: string): Promise<void>;
  /** A version folder outside of the repository, to be published. */
  prepare(text?: string): Promise<string>;
  settings(model: string, settings: unknown): Promise<void>;
  state(model: string, version: number): VersionState | undefined;
  /** Versions and their states, e.g. `1 ready, 2 loading`. */
  states(model: string): string;
}

type Files = Record<string, Record<number, string>>;

async function setUp(files: Files = {}, options: Partial<RegistryOptions> = {}): Promise<Setup> {
  const root = await temporaryFolder();
  const models = join(root, 'models');
  const launcher = createFakeLauncher();
  const events: StateChange[] = [];
  const logged: string[] = [];
  const log = (_fields: object, message: string): void => void logged.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const registry = createRegistry({
    models,
    repository: { watch: true, pollMs: 100, settleMs: 30 },
    threads: 1,
    launcher,
    logger,
    drainMs: 10_000,
    onStateChange: (event) => events.push(event),
    ...options,
  });
  onTestFinished(() => registry.stop());
  let prepared = 0;

  async function prepare(text = 'good'): Promise<string> {
    const folder = join(root, `prepared-${(prepared += 1)}`);
    await mkdir(folder);
    await writeFile(join(folder, 'model.onnx'), text);
    return folder;
  }

  const setup: Setup = {
    registry,
    launcher,
    models,
    events,
    logged,
    async add(model, version, text) {
      await mkdir(join(models, model), { recursive: true });
      await rename(await prepare(text), join(models, model, String(version)));
    },
    prepare,
    async settings(model, settings) {
      const text = typeof settings === 'string' ? settings : JSON.stringify(settings);
      await mkdir(join(models, model), { recursive: true });
      await writeFile(join(root, 'settings'), text);
      await rename(join(root, 'settings'), join(models, model, 'slipway-model.json'));
    },
    state: (model, version) => stateOf(registry, model, version),
    states: (model) => statesOf(registry, model),
  };
  for (const [model, versions] of Object.entries(files)) {
    for (const [version, text] of Object.entries(versions)) await setup.add(model, Number(version), text);
  }
  return setup;
}

function statesOf(registry: Registry, model: string): string {
  const found = registry.list().find(({ name }) => name === model);
  return (found?.versions ?? []).map(({ version, state }) => `${version} ${state}`).join(', ');
}

function stateOf(registry: Registry, model: string, version: number): VersionState | undefined {
  const found = registry.list().find(({ name }) => name === model);
  return found?.versions.find((each) => each.version === version)?.state;
}

function eventually(check: () => unknown): Promise<unknown> {
  return vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

function errorOf(act: () => unknown): SlipwayError {
  try {
    act();
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('start', () => {
  it('serves the good models and says what is wrong with the broken ones', async () => {
    const { registry, events } = await setUp({ good: { 1: 'good' }, bad: { 1: 'broken weights' } });
    await registry.start();
    const answer = registry.resolve({ model: 'good' });
    expect([answer.model, answer.version]).toEqual(['good', 1]);
    expect(registry.resolve({ model: 'good', version: 1 })).toBe(answer);
    expect(registry.list().map(({ name }) => name)).toEqual(['bad', 'good']);
    expect(registry.describeVersion('bad', 1)).toMatchObject({ state: 'failed', reason: 'model.onnx: broken weights', format: 'onnx' });
    const error = errorOf(() => registry.resolve({ model: 'bad' }));
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toBe('Version 1 of model "bad" could not be loaded: model.onnx: broken weights.');
    expect(events).toContainEqual({ model: 'good', version: 1, state: 'ready', reason: '' });
  });

  it('makes a model repository that is not there', async () => {
    const { registry, models } = await setUp();
    await registry.start();
    expect(registry.list()).toEqual([]);
    expect(await readdir(models)).toEqual([]);
    expect(errorOf(() => registry.resolve({ model: 'any' })).message).toBe('There is no model "any". The model repository is empty.');
  });

  it('rejects when the model repository can not be made', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    const { registry } = await setUp({}, { models: join(folder, 'file') });
    await expect(registry.start()).rejects.toThrow(/model repository .* can't be made/);
  });

  it('ignores what is not a model, and says so once when it is the name', async () => {
    const { registry, models, add, logged } = await setUp({ digits: { 1: 'good' } });
    await add('bad name!', 1);
    await mkdir(join(models, 'empty'));
    await mkdir(join(models, 'notes', 'v1'), { recursive: true });
    await mkdir(join(models, 'hollow', '1'), { recursive: true });
    await add('.hidden', 1);
    await writeFile(join(models, 'README.md'), '');
    await registry.start();
    await add('second', 1);
    await eventually(() => expect(registry.resolve({ model: 'second' }).version).toBe(1));
    expect(registry.list().map(({ name }) => name)).toEqual(['digits', 'second']);
    expect(logged.filter((message) => message.includes('name is not allowed'))).toHaveLength(1);
  });

  it('follows links to model and version folders', async () => {
    const { registry, models, prepare } = await setUp();
    const [first, second] = [await prepare('good one'), await prepare('good two')];
    await mkdir(join(models, 'digits'), { recursive: true });
    await symlink(first, join(models, 'digits', '..data'));
    await symlink('..data', join(models, 'digits', '1'));
    await symlink(join(models, 'digits'), join(models, 'alias'));
    await registry.start();
    const before = registry.resolve({ model: 'digits' });
    expect(registry.resolve({ model: 'alias' }).version).toBe(1);
    await symlink(second, join(models, 'digits', '..new'));
    await rename(join(models, 'digits', '..new'), join(models, 'digits', '..data'));
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(before));
  });

  it('loads only a few versions at once', async () => {
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`model-${index}`, { 1: 'held' }]));
    const { registry, launcher, models } = await setUp(files);
    const started = registry.start();
    for (let ready = 0; ready < 20; ready += 1) {
      await eventually(() => expect(launcher.runners.length).toBeGreaterThan(ready));
      launcher.runners[ready]?.becomeReady();
    }
    await started;
    expect(launcher.mostStarting).toBeGreaterThan(1);
    expect(launcher.mostStarting).toBeLessThanOrEqual(4);
    expect(registry.list().every(({ defaultVersion }) => defaultVersion === 1)).toBe(true);
    expect(await readdir(models)).toHaveLength(20);
  });

  it('is not held up by models that crash while they load', async () => {
    const files: Files = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`a-${index}`, { 1: 'held' }]));
    const { registry, launcher } = await setUp({ ...files, good: { 1: 'good' } });
    void registry.start();
    for (let crashed = 0; crashed < 10; crashed += 1) {
      await eventually(() => expect(launcher.runners.length).toBeGreaterThan(crashed));
      for (const runner of launcher.runners) if (runner.status.state === 'starting') runner.crash('it fell over', 100);
    }
    await eventually(() => expect(registry.resolve({ model: 'good' }).version).toBe(1));
    const error = errorOf(() => registry.resolve({ model: 'a-3' }));
    expect([error.code, error.retryAfterMs]).toEqual(['MODEL_NOT_READY', 100]);
    expect(error.message).toContain('it fell over');
  });
});

describe('changes on disk', () => {
  it.each([true, false])('loads a model that is dropped in (file events: %s)', async (watch) => {
    const { registry, add } = await setUp({}, { repository: { watch, pollMs: watch ? 1_000_000 : 20, settleMs: 20 } });
    await registry.start();
    await add('digits', 1);
    await eventually(() => expect(registry.resolve({ model: 'digits' }).version).toBe(1));
  });

  it('waits until a folder is copied whole', async () => {
    let now = 0;
    const { registry, models, launcher, state } = await setUp({}, { repository: { watch: true, pollMs: 10, settleMs: 1_000 }, clock: () => now });
    await registry.start();
    const folder = join(models, 'digits', '1');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'model.onnx'), 'broken, since half copied');
    await eventually(() => expect(state('digits', 1)).toBe('loading'));
    const error = errorOf(() => registry.resolve({ model: 'digits' }));
    expect(error.code).toBe('MODEL_NOT_READY');
    expect(error.message).toContain('until its files have stopped changing');
    now = 900;
    await writeFile(join(folder, 'model.onnx'), 'good');
    await writeFile(join(folder, 'slipway.json'), '{"description":"whole"}');
    // Seen changed at 900 at the earliest, so at 1,850 it has not been still for long enough.
    const look = (): Promise<unknown> => registry.removeLabel('digits', 'none').catch(() => undefined);
    await look();
    now = 1_850;
    await look();
    expect(launcher.runners).toHaveLength(0);
    now = 10_000;
    await eventually(() => expect(registry.resolve({ model: 'digits' }).manifest.description).toBe('whole'));
    expect(launcher.runners).toHaveLength(1);
  });

  it('reloads a changed version, and lets the requests on the old files end', async () => {
    const { registry, models, launcher } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const old = registry.resolve({ model: 'digits' });
    const release = old.acquire();
    await writeFile(join(models, 'digits', '1', 'model.onnx'), 'held, the second');
    await eventually(() => expect(launcher.runners).toHaveLength(2));
    expect(registry.resolve({ model: 'digits' })).toBe(old); // until the new one is ready
    launcher.runnerOf('digits/1').becomeReady();
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(old));
    expect(launcher.runners[0]?.stopped).toBe(false);
    release();
    release();
    await eventually(() => expect(launcher.runners[0]?.stopped).toBe(true));
    expect(launcher.runners[1]?.stopped).toBe(false);
    expect(errorOf(() => old.acquire()).code).toBe('MODEL_NOT_READY');
  });

  it('goes on serving when the reload fails, and says so', async () => {
    const { registry, models } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const old = registry.resolve({ model: 'digits' });
    await writeFile(join(models, 'digits', '1', 'model.onnx'), 'broken by hand');
    await eventually(() => expect(registry.describeVersion('digits', 1).reason).toContain('broken by hand'));
    expect(registry.describeVersion('digits', 1).state).toBe('ready');
    expect(registry.resolve({ model: 'digits' })).toBe(old);
    await writeFile(join(models, 'digits', '1', 'model.onnx'), 'good again, longer');
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(old));
    expect(registry.describeVersion('digits', 1)).toMatchObject({ state: 'ready', reason: '' });
  });

  it('tries a failed version again when its files change', async () => {
    const { registry, models, launcher } = await setUp({ digits: { 1: 'broken' } });
    await registry.start();
    expect(launcher.runners).toHaveLength(1);
    expect(launcher.runners[0]?.stopped).toBe(true);
    await writeFile(join(models, 'digits', '1', 'model.onnx'), 'mended');
    await eventually(() => expect(registry.resolve({ model: 'digits' }).version).toBe(1));
  });

  it('drains a version whose folder was deleted, then forgets it', async () => {
    const { registry, models, launcher, states } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    const release = registry.resolve({ model: 'digits' }).acquire();
    await rm(join(models, 'digits'), { recursive: true });
    await eventually(() => expect(states('digits')).toBe('1 draining'));
    expect(errorOf(() => registry.resolve({ model: 'digits', version: 1 })).code).toBe('MODEL_NOT_READY');
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('VERSION_NOT_FOUND');
    expect(launcher.runners[0]?.stopped).toBe(false);
    release();
    await eventually(() => expect(registry.list()).toEqual([]));
    expect(launcher.runners[0]?.stopped).toBe(true);
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('MODEL_NOT_FOUND');
  });

  it('treats an emptied folder as a deleted one, and shows a known model without versions', async () => {
    const { registry, models } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    await rm(join(models, 'digits', '1', 'model.onnx'));
    await eventually(() => expect(registry.describe('digits').versions).toEqual([]));
    expect(registry.describe('digits').defaultVersion).toBeUndefined();
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('VERSION_NOT_FOUND');
  });

  it('keeps all models when the repository itself can not be read', async () => {
    const { registry, models, logged } = await setUp({ digits: { 1: 'good' } }, { repository: { watch: false, pollMs: 5, settleMs: 5 } });
    await registry.start();
    await rename(models, `${models}-unmounted`);
    await eventually(() => expect(logged).toContain('the model repository could not be read'));
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
    await rename(`${models}-unmounted`, models);
  });
});

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
    expect(registry.describeVersion('digits', 1)).toMatchObject({ state: 'loading', reason: 'the process ended with signal SIGSEGV', restarts: 1 });
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
    expect(published.map(({ version }) => version).toSorted()).toEqual([1, 2, 3, 4, 5]);
    expect((await readdir(join(models, 'digits'))).toSorted()).toEqual(['1', '2', '3', '4', '5']);
    expect(registry.resolve({ model: 'digits' }).version).toBe(5);
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

  it('tells of a version that does not load; the one before goes on', async () => {
    const { registry, prepare } = await setUp({ digits: { 1: 'good' } }, { repository: slow });
    await registry.start();
    const published = await registry.publish('digits', undefined, await prepare('broken'));
    expect(published).toMatchObject({ version: 2, state: 'failed', reason: 'model.onnx: broken' });
    expect(registry.resolve({ model: 'digits' }).version).toBe(1);
  });

  it('leaves an unloaded model unloaded', async () => {
    const { registry, prepare, launcher } = await setUp({ digits: { 1: 'good' } }, { repository: slow });
    await registry.start();
    await registry.unload('digits');
    expect(await registry.publish('digits', undefined, await prepare())).toMatchObject({ version: 2, state: 'unloaded', reason: 'unloaded by request' });
    expect(launcher.runners).toHaveLength(1);
  });
});

describe('remove', () => {
  it('has the version before in service first, then drains and deletes', async () => {
    const { registry, launcher, models, states } = await setUp({ digits: { 1: 'held', 2: 'good' } });
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

describe('stop', () => {
  it('waits for the requests in flight, gives up loads and leaves nothing running', async () => {
    const { registry, launcher, add, prepare } = await setUp({ digits: { 1: 'good' }, hangs: { 1: 'held' } });
    const started = registry.start();
    await eventually(() => expect(launcher.runners.map(({ status }) => status.state).toSorted()).toEqual(['ready', 'starting']));
    await eventually(() => registry.resolve({ model: 'digits' }));
    const release = registry.resolve({ model: 'digits' }).acquire();
    let stopped = false;
    const stopping = registry.stop().then(() => (stopped = true));
    await started;
    await eventually(() => expect(launcher.runnerOf('hangs/1').stopped).toBe(true));
    expect([stopped, launcher.runnerOf('digits/1').stopped]).toEqual([false, false]);
    release();
    await stopping;
    expect(launcher.runners.every((runner) => runner.stopped)).toBe(true);
    expect(errorOf(() => registry.resolve({ model: 'digits' })).code).toBe('SHUTTING_DOWN');
    await add('late', 1);
    await expect(registry.load('late')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await expect(registry.publish('late', 2, await prepare())).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await registry.stop();
    expect(launcher.runners).toHaveLength(2);
  });

  it('does not wait longer than drainMs', async () => {
    const { registry, launcher } = await setUp({ digits: { 1: 'good' } }, { drainMs: 10 });
    await registry.start();
    registry.resolve({ model: 'digits' }).acquire();
    await registry.stop();
    expect(launcher.runners[0]?.stopped).toBe(true);
  });
});
