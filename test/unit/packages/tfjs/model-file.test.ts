import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../../src/packages/tfjs/model-file.ts';
import { modelFolder } from '../../../helpers/fixture-models.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

describe('readModelFile', () => {
  it('keeps what it does not know', async () => {
    const folder = await modelFolder({
      'model.json': JSON.stringify({ modelTopology: { a: 1 }, weightsManifest: [], convertedBy: 'someone' }),
    });
    expect(await readModelFile(folder)).toEqual({ modelTopology: { a: 1 }, weightsManifest: [], convertedBy: 'someone' });
  });

  it.each([
    ['is no JSON', '{"modelTopology":', /not valid JSON/],
    ['is something else', '[]', /no TF\.js model/],
    ['has no topology', '{"weightsManifest":[]}', /modelTopology/],
    ['has no weights', '{"modelTopology":{}}', /weightsManifest/],
    [
      'has a weight of an unknown dtype',
      '{"modelTopology":{},"weightsManifest":[{"paths":[],"weights":[{"name":"a","shape":[],"dtype":"float8"}]}]}',
      /weights\.0\.dtype/,
    ],
    [
      'has a weight of an impossible shape',
      '{"modelTopology":{},"weightsManifest":[{"paths":[],"weights":[{"name":"a","shape":[-1],"dtype":"bool"}]}]}',
      /weights\.0\.shape/,
    ],
  ])('refuses a file that %s', async (_what, content, message) => {
    const folder = await modelFolder({ 'model.json': content });
    await expect(readModelFile(folder)).rejects.toMatchObject({ code: 'INVALID_MODEL', message: expect.stringMatching(message) });
  });

  it('refuses a folder without one', async () => {
    await expect(readModelFile(await temporaryFolder())).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('missing'),
    });
  });
});
