import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf, eventually, setUp } from './set-up.ts';

describe('changes on disk', () => {
  it.each([true, false])('loads a model that is dropped in (file events: %s)', async (watch) => {
    const { registry, add } = await setUp({}, { repository: { watch, pollMs: watch ? 1_000_000 : 20, settleMs: 20 } });
    await registry.start();
    await add('digits', 1);
    await eventually(() => expect(registry.resolve({ model: 'digits' }).version).toBe(1));
  });

  it('waits until a folder is copied whole', async () => {
    let now = 0;
    const { registry, models, launcher, state } = await setUp(
      {},
      { repository: { watch: true, pollMs: 10, settleMs: 1_000 }, clock: () => now },
    );
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
    const releaseOther = old.acquire();
    const release = old.acquire();
    releaseOther();
    releaseOther(); // the second time counts for nothing
    await writeFile(join(models, 'digits', '1', 'model.onnx'), 'held, the second');
    await eventually(() => expect(launcher.runners).toHaveLength(2));
    expect(registry.resolve({ model: 'digits' })).toBe(old); // until the new one is ready
    launcher.runnerOf('digits/1').becomeReady();
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(old));
    expect(launcher.runners[0]?.stopped).toBe(false);
    release();
    await eventually(() => expect(launcher.runners[0]?.stopped).toBe(true));
    expect(launcher.runners[1]?.stopped).toBe(false);
    expect(errorOf(() => old.acquire()).code).toBe('MODEL_NOT_READY');
  });

  it('follows a version folder that was replaced by another', async () => {
    const { registry, models, prepare } = await setUp(
      { digits: { 1: 'good' } },
      { repository: { watch: true, pollMs: 1_000_000, settleMs: 10 } },
    );
    await registry.start();
    const folder = join(models, 'digits', '1');
    const first = registry.resolve({ model: 'digits' });
    const replacement = await prepare('good, another');
    await rename(folder, `${models}-old`);
    await rename(replacement, folder);
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(first));
    const second = registry.resolve({ model: 'digits' });
    await writeFile(join(folder, 'model.onnx'), 'good, changed in place');
    await eventually(() => expect(registry.resolve({ model: 'digits' })).not.toBe(second));
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
    const { registry, models, launcher, states } = await setUp(
      { digits: { 1: 'good' } },
      { repository: { watch: true, pollMs: 1_000_000, settleMs: 20 } },
    );
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
