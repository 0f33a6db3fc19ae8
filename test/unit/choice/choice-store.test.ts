import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createChoiceStore, type KeptChoice } from '../../../src/choice/choice-store.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const KEPT: KeptChoice = {
  taken: { engine: 'tfjs', backend: 'cpu', device: 'cpu' },
  choice: { by: 'measured', reason: 'It is fastest.', candidates: [] },
};

async function set(): Promise<{ folder: string; model: string; store: (machine?: string) => ReturnType<typeof createChoiceStore> }> {
  const root = await temporaryFolder();
  const model = join(root, 'model', '1');
  await mkdir(model, { recursive: true });
  await writeFile(join(model, 'model.json'), '{}');
  const folder = join(root, 'choices');
  return { folder, model, store: (machine = 'one') => createChoiceStore({ folder, machine: () => machine, maxChoices: 2 }) };
}

describe('what was measured of a model', () => {
  it('is kept, and found by the same files, wherever they lie', async () => {
    const { model, store } = await set();
    expect(await store().find({ folder: model, threads: 1 })).toBeUndefined();
    await store().keep({ folder: model, threads: 1 }, KEPT);
    expect(await store().findFast({ folder: model, threads: 1 })).toEqual(KEPT);
    const copy = join(await temporaryFolder(), '2');
    await cp(model, copy, { recursive: true });
    await writeFile(join(copy, 'slipway.json'), '{}');
    expect(await store().findFast({ folder: copy, threads: 1 })).toBeUndefined();
    expect(await store().find({ folder: copy, threads: 1 })).toEqual(KEPT);
    expect(await store().findFast({ folder: copy, threads: 1 })).toEqual(KEPT);
  });

  it('does not hold for other files, another machine, or another number of threads', async () => {
    const { model, store } = await set();
    await store().keep({ folder: model, threads: 1 }, KEPT);
    expect(await store().find({ folder: model, threads: 2 })).toBeUndefined();
    expect(await store('another').find({ folder: model, threads: 1 })).toBeUndefined();
    await writeFile(join(model, 'model.json'), '{"changed":true}');
    expect(await store().find({ folder: model, threads: 1 })).toBeUndefined();
  });

  it('is measured again when the file is damaged, and the oldest goes when there is too much', async () => {
    const { folder, model, store } = await set();
    await store().keep({ folder: model, threads: 1 }, KEPT);
    for (const name of await readdir(folder)) if (name.startsWith('choice-')) await writeFile(join(folder, name), '{"taken":');
    expect(await store().find({ folder: model, threads: 1 })).toBeUndefined();
    for (let threads = 1; threads < 9; threads += 1) await store().keep({ folder: model, threads }, KEPT);
    expect(await readdir(folder)).toHaveLength(4);
    expect(await store().find({ folder: model, threads: 8 })).toEqual(KEPT);
  });
});
