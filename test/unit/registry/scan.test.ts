import { chmod, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { holdsFile, inspectFolder, listModelFolders, listVersionFolders, parseVersionFolder } from '../../../src/registry/scan.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

describe('parseVersionFolder', () => {
  it.each(['1', '42', '9007199254740991'])('takes %s', (name) => {
    expect(parseVersionFolder(name)).toBe(Number(name));
  });
  it.each(['0', '01', '-1', '1.0', '1e3', ' 1', '1 ', '', 'v1', '.1', '9007199254740992', '٣'])('ignores %j', (name) => {
    expect(parseVersionFolder(name)).toBeUndefined();
  });
});

describe('listModelFolders', () => {
  it('lists folders and links to folders, not files, hidden folders or links that lead nowhere', async () => {
    const root = await temporaryFolder();
    for (const name of ['b', 'a', '.hidden', '..data']) await mkdir(join(root, name));
    await writeFile(join(root, 'README'), '');
    await symlink(join(root, 'a'), join(root, 'linked'));
    await symlink(join(root, 'nowhere'), join(root, 'dangling'));
    expect(await listModelFolders(root)).toEqual(['a', 'b', 'linked']);
  });
});

describe('listVersionFolders', () => {
  it('lists version folders, the manifest and what was left of a deletion', async () => {
    const folder = await temporaryFolder();
    for (const name of ['1', '10', '01', '0', 'notes', '.slipway-removed-3-x']) await mkdir(join(folder, name));
    await symlink(join(folder, '1'), join(folder, '2'));
    await writeFile(join(folder, '3'), 'a file');
    const bare = await listVersionFolders(folder);
    expect([...(bare?.versions ?? [])]).toEqual(
      expect.arrayContaining([
        [1, join(folder, '1')],
        [2, join(folder, '2')],
        [10, join(folder, '10')],
      ]),
    );
    expect(bare?.versions.size).toBe(3);
    expect(bare?.manifestFingerprint).toBeUndefined();
    expect(bare?.leftovers).toEqual([join(folder, '.slipway-removed-3-x')]);

    await writeFile(join(folder, 'slipway-model.json'), '{}');
    const first = await listVersionFolders(folder);
    await writeFile(join(folder, 'slipway-model.json'), '{ }');
    const second = await listVersionFolders(folder);
    expect(first?.manifestFingerprint).toBeTypeOf('string');
    expect(second?.manifestFingerprint).not.toBe(first?.manifestFingerprint);
  });

  it('says undefined of a folder that is not there, or is a file', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    expect(await listVersionFolders(join(folder, 'gone'))).toBeUndefined();
    expect(await listVersionFolders(join(folder, 'file'))).toBeUndefined();
  });
});

describe('inspectFolder', () => {
  const fingerprintOf = async (folder: string): Promise<string | undefined> => (await inspectFolder(folder))?.fingerprint;

  async function versionFolder(): Promise<string> {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'weights'));
    await writeFile(join(folder, 'model.json'), 'abc');
    await writeFile(join(folder, 'weights', 'shard1'), '0123');
    return folder;
  }

  it('stays the same while nothing changes', async () => {
    const folder = await versionFolder();
    expect(await fingerprintOf(folder)).toBe(await fingerprintOf(folder));
  });

  it('adds up the bytes of all files', async () => {
    expect((await inspectFolder(await versionFolder()))?.bytes).toBe(7);
  });

  const changes: Record<string, (folder: string) => Promise<void>> = {
    'a size': (folder) => writeFile(join(folder, 'weights', 'shard1'), '01234'),
    'a modification time': (folder) => utimes(join(folder, 'model.json'), 1, 1),
    'a name': (folder) => rename(join(folder, 'model.json'), join(folder, 'other.json')),
    'a new file': (folder) => writeFile(join(folder, 'slipway.json'), '{}'),
    'a file less': (folder) => rm(join(folder, 'model.json')),
    'a hidden file that a copying tool grows': (folder) => writeFile(join(folder, '.model.onnx.part'), 'x'),
    'a file replaced by one of the same size and time': async (folder) => {
      const path = join(folder, 'model.json');
      await utimes(path, 5, 5);
      const before = await fingerprintOf(folder);
      await writeFile(join(folder, 'new'), 'xyz');
      await utimes(join(folder, 'new'), 5, 5);
      await rename(join(folder, 'new'), path);
      expect(await fingerprintOf(folder)).not.toBe(before);
    },
  };
  it.each(Object.keys(changes))('changes with %s', async (what) => {
    const folder = await versionFolder();
    const before = await fingerprintOf(folder);
    await changes[what]?.(folder);
    expect(await fingerprintOf(folder)).not.toBe(before);
  });

  it('follows links, and changes when they point elsewhere', async () => {
    const root = await temporaryFolder();
    for (const name of ['a', 'b']) {
      await mkdir(join(root, name));
      await writeFile(join(root, name, 'model.onnx'), name);
    }
    await symlink(join(root, 'a'), join(root, '..data'));
    await symlink(join(root, '..data'), join(root, '1'));
    const before = await fingerprintOf(join(root, '1'));
    await symlink(join(root, 'b'), join(root, '..new'));
    await rename(join(root, '..new'), join(root, '..data'));
    const after = await fingerprintOf(join(root, '1'));
    expect(before).toBeTypeOf('string');
    expect(after).toBeTypeOf('string');
    expect(after).not.toBe(before);
  });

  it('ends in a circle of links', async () => {
    const folder = await versionFolder();
    await symlink(folder, join(folder, 'self'));
    await symlink('loop', join(folder, 'loop'));
    expect(await fingerprintOf(folder)).toBeTypeOf('string');
  });

  it('says undefined of a folder without files', async () => {
    const folder = await temporaryFolder();
    expect(await inspectFolder(folder)).toBeUndefined();
    await mkdir(join(folder, 'empty'));
    await writeFile(join(folder, '.nfs0001'), 'x');
    expect(await inspectFolder(folder)).toBeUndefined();
    expect(await holdsFile(folder)).toBe(false);
    expect(await inspectFolder(join(folder, 'gone'))).toBeUndefined();
    expect(await holdsFile(join(folder, 'gone'))).toBe(false);
  });

  it('agrees with holdsFile that a file in a folder below is one', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'empty'));
    await mkdir(join(folder, 'weights'));
    await writeFile(join(folder, 'weights', 'shard1'), '0123');
    expect(await inspectFolder(folder)).toBeDefined();
    expect(await holdsFile(folder)).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)('counts a forbidden folder as one with contents', async () => {
    const folder = await versionFolder();
    await chmod(folder, 0);
    const fingerprint = await fingerprintOf(folder);
    const held = await holdsFile(folder);
    await chmod(folder, 0o700);
    expect(held).toBe(true);
    expect(fingerprint).toBeTypeOf('string');
  });
});
