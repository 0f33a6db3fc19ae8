import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyVersion } from '../../../src/registry/store.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

it('copies nothing that a link in a version leads out to', async () => {
  const folder = await temporaryFolder();
  const version = join(folder, 'digits', '1');
  await mkdir(version, { recursive: true });
  await writeFile(join(folder, 'secret'), 'of the server');
  await writeFile(join(version, 'model.onnx'), '');
  await copyVersion(() => version, join(folder, 'whole'), undefined);
  await symlink(join(folder, 'secret'), join(version, 'notes.txt'));
  await expect(copyVersion(() => version, join(folder, 'copy'), undefined)).rejects.toMatchObject({
    code: 'INVALID_MODEL',
    message: expect.stringContaining('notes.txt is a symbolic link that leads out') as string,
  });
  expect((await readdir(folder)).toSorted()).toEqual(['digits', 'secret', 'whole']);
});
