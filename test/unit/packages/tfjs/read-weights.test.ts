import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readWeights, type Weights } from '../../../../src/packages/tfjs/read-weights.ts';
import { modelFolder } from '../../../helpers/fixture-models.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const weights = [{ name: 'kernel', shape: [2, 2], dtype: 'float32' as const }];

const read = (folder: string, paths: string[]): Promise<Weights> => readWeights(folder, [{ paths, weights }]);

describe('readWeights', () => {
  it('reads shards in order, from folders too', async () => {
    const folder = await modelFolder({ 'a.bin': new Uint8Array(10).fill(1), 'deeper/b.bin': new Uint8Array(6).fill(2) });
    const { specs, data } = await read(folder, ['a.bin', 'deeper/b.bin']);
    expect(specs).toEqual(weights);
    expect(Buffer.concat(data.map((buffer) => Buffer.from(buffer)))).toEqual(Buffer.from([...Array(10).fill(1), ...Array(6).fill(2)]));
  });

  it('reads quantized weights by their size on disk', async () => {
    const folder = await modelFolder({ 'a.bin': new Uint8Array(4) });
    const quantized = [{ ...weights[0]!, quantization: { dtype: 'uint8' as const, scale: 1, min: 0 } }];
    expect((await readWeights(folder, [{ paths: ['a.bin'], weights: quantized }])).data[0]!.byteLength).toBe(4);
  });

  it('does not count the bytes of strings, which say their own lengths', async () => {
    const folder = await modelFolder({ 'a.bin': new Uint8Array(7) });
    const strings = [{ name: 'words', shape: [1], dtype: 'string' as const }];
    expect((await readWeights(folder, [{ paths: ['a.bin'], weights: strings }])).data[0]!.byteLength).toBe(7);
  });

  it.each([
    ['short', 15],
    ['long', 17],
  ])('refuses a shard that is too %s, with both sizes', async (_what, size) => {
    const folder = await modelFolder({ 'a.bin': new Uint8Array(size) });
    await expect(read(folder, ['a.bin'])).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringMatching(new RegExp(`"a.bin" \\(${size} bytes\\).*16 bytes.*not ${size}`)),
    });
  });

  it('names a shard that is missing', async () => {
    await expect(read(await temporaryFolder(), ['a.bin'])).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('"a.bin" is missing'),
    });
  });

  it.each([
    ['../a.bin', 'leads out'],
    ['deeper/../../a.bin', 'leads out'],
    ['..\\a.bin', 'leads out'],
    ['/etc/hostname', 'absolute'],
    ['C:\\a.bin', 'absolute'],
    ['https://example.com/a.bin', 'URL'],
    ['file:///etc/hostname', 'URL'],
    ['a\0.bin', 'no file name'],
  ])('refuses the path %j', async (path, problem) => {
    const outer = await temporaryFolder();
    await writeFile(join(outer, 'a.bin'), new Uint8Array(16));
    const folder = join(outer, '1');
    await mkdir(folder);
    await expect(read(folder, [path])).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringMatching(new RegExp(problem)),
    });
  });

  it('refuses a link that leads out, but follows one inside and a folder that is a link itself', async () => {
    const outer = await temporaryFolder();
    await writeFile(join(outer, 'secret.bin'), new Uint8Array(16));
    const folder = join(outer, '1');
    await mkdir(join(folder, '..data'), { recursive: true });
    await writeFile(join(folder, '..data', 'a.bin'), new Uint8Array(16));
    await symlink(join('..data', 'a.bin'), join(folder, 'inside.bin'));
    await symlink(join('..', 'secret.bin'), join(folder, 'outside.bin'));
    await symlink('1', join(outer, '2'));
    await expect(read(folder, ['outside.bin'])).rejects.toMatchObject({ code: 'INVALID_MODEL', message: expect.stringContaining('link') });
    expect((await read(folder, ['inside.bin'])).data).toHaveLength(1);
    expect((await read(join(outer, '2'), ['inside.bin'])).data).toHaveLength(1);
  });
});
