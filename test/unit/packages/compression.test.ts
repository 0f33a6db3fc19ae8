import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { cluster } from '../../../src/optimization/quantization/stored-weights.ts';
import { compressSlip, decompressor, measureCompression } from '../../../src/packages/compression.ts';
import { type ArchiveFiles, filesOf } from '../../../src/packages/pack.ts';
import { packSlip } from '../../../src/packages/slip.ts';
import { DIGITS } from '../../helpers/quantization.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

describe('compressed packages', () => {
  it.each(['zstd', 'brotli'] as const)('give every byte back: %s', async (codec) => {
    const files = await filesOf(DIGITS);
    const compressed = await buffer(compressSlip(files, codec).stream);
    const plain = await buffer(packSlip(files));
    expect(compressed.length).toBeLessThan(plain.length);
    const opened = decompressor(codec);
    opened.end(compressed);
    expect((await buffer(opened)).equals(plain)).toBe(true);
    expect((await buffer(compressSlip(files, codec).stream)).equals(compressed)).toBe(true);
  });

  it('tell how small a version becomes: clustered weights far smaller than floats', async () => {
    const target = await temporaryFolder();
    await cluster({ folder: DIGITS, target }, { clusters: 16 });
    const [floats, clustered] = [await measureCompression(DIGITS), await measureCompression(target)];
    expect(floats.bytes).toBeGreaterThan((await readFile(`${DIGITS}/model.onnx`)).length);
    expect(floats.ratio).toBeLessThan(1.2);
    expect(floats.bytes / clustered.compressedBytes).toBeGreaterThan(7);
    expect(clustered.codec).toBe('zstd');
  });

  it('fail where a file is missing', async () => {
    const files: ArchiveFiles = new Map([['model.onnx', { path: '/nowhere/model.onnx' }]]);
    await expect(buffer(compressSlip(files).stream)).rejects.toThrow(/ENOENT/);
  });
});
