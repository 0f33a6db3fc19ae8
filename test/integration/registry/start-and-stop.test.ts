import { mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { errorOf, eventually, type Files, setUp } from './set-up.ts';

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
    const { registry, models, add, logged } = await setUp(
      { digits: { 1: 'good' } },
      { repository: { watch: false, pollMs: 2, settleMs: 1 } },
    );
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

  it('says of a folder that holds a model but no version what is wrong, once, and serves it when that is mended', async () => {
    const { registry, models, logged } = await setUp({}, { repository: { watch: false, pollMs: 2, settleMs: 1 } });
    await mkdir(join(models, 'bare'), { recursive: true });
    await writeFile(join(models, 'bare', 'model.onnx'), 'good');
    await mkdir(join(models, 'named', 'v1'), { recursive: true });
    await writeFile(join(models, 'named', 'v1', 'model.onnx'), 'good');
    await registry.start();
    const why = 'its folder holds model.onnx but no version; a version is a folder with a number as its name, such as bare/1';
    expect(errorOf(() => registry.resolve({ model: 'bare' }))).toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: `There is no model "bare". I${why.slice(1)}.`,
    });
    expect(errorOf(() => registry.describe('named')).message).toContain('holds v1 but no version');
    await rename(join(models, 'named', 'v1'), join(models, 'named', '1'));
    await eventually(() => expect(registry.resolve({ model: 'named' }).version).toBe(1));
    // Models are looked at side by side.
    expect(logged.filter((message) => message.includes('not served')).toSorted()).toEqual([
      `a model is not served: ${why}`,
      expect.stringContaining('such as named/1'),
    ]);
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

describe('stop', () => {
  it('ends its watchers', async () => {
    const watchers = (): number => process.getActiveResourcesInfo().filter((each) => each === 'FSEventWrap').length;
    const before = watchers();
    const { registry } = await setUp({ digits: { 1: 'good' } });
    await registry.start();
    expect(watchers()).toBe(before + 3); // the repository, the model and the version
    await registry.stop();
    await eventually(() => expect(watchers()).toBe(before)); // handles are closed in the next turn
  });

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
