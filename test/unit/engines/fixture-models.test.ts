import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ONNX_FIXTURES } from '../../../scripts/fixtures/onnx-models.ts';
import { TFJS_FIXTURES } from '../../../scripts/fixtures/tfjs-models.ts';
import { fixtureFolder } from '../../helpers/fixture-models.ts';

it.each(Object.entries({ ...ONNX_FIXTURES, ...TFJS_FIXTURES }))('the fixture model %s is what its script makes', async (name, files) => {
  for (const [path, content] of Object.entries(files)) {
    expect(await readFile(join(fixtureFolder(name), path))).toEqual(Buffer.from(content as Uint8Array));
  }
});
