import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { cluster } from '../../../src/optimization/quantization/stored-weights.ts';
import { compressed } from '../../../src/packages/compression.ts';
import { modelBytes } from '../../../src/packages/model-files.ts';
import { type ArchiveFiles, filesOf } from '../../../src/packages/pack.ts';
import { packSlip } from '../../../src/packages/slip.ts';
import { unpackArchive } from '../../../src/packages/unpack.ts';
import { tarOf } from '../../helpers/archives.ts';
import { DIGITS } from '../../helpers/quantization.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LIMITS = { maxUnpackedBytes: 1_000_000, maxFiles: 100, maxCompressedBytes: 1_000_000 };

const compressedSlip = async (files: ArchiveFiles): Promise<Buffer> => buffer(compressed(packSlip(files)));

/** Unpacks chunks of an awkward size, so that headers are cut anywhere. */
async function unpacked(body: Buffer): Promise<string> {
  const folder = join(await temporaryFolder(), 'out');
  const chunks: Buffer[] = [];
  for (let start = 0; start < body.length; start += 333) chunks.push(body.subarray(start, start + 333));
  await unpackArchive(Readable.from(chunks), folder, LIMITS);
  return folder;
}

/** The refusal of a body, of which nothing is kept; undefined when it is taken. */
async function refusalOf(body: Buffer): Promise<SlipwayError | undefined> {
  const folder = join(await temporaryFolder(), 'out');
  try {
    await unpackArchive(Readable.from([body]), folder, LIMITS);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(SlipwayError);
    expect(existsSync(folder)).toBe(false);
    return error as SlipwayError;
  }
}

describe('a compressed package', () => {
  it('gives back every file to the bit, and again the same bytes', async () => {
    const slip = await compressedSlip(await filesOf(DIGITS));
    expect(slip.length).toBeLessThan((await buffer(packSlip(await filesOf(DIGITS)))).length);
    const folder = await unpacked(slip);
    for (const [name, file] of await filesOf(DIGITS))
      expect((await readFile(join(folder, name))).equals(await readFile((file as { path: string }).path))).toBe(true);
    expect((await compressedSlip(await filesOf(folder))).equals(slip)).toBe(true);
  });

  it('is the same whatever pieces it is made of', async () => {
    const slip = await buffer(packSlip(await filesOf(DIGITS)));
    const whole = await buffer(compressed(Readable.from([slip])));
    for (const size of [1_000, 65_536, 131_072, 200_000]) {
      const pieces = Array.from({ length: Math.ceil(slip.length / size) }, (_piece, index) =>
        slip.subarray(index * size, (index + 1) * size),
      );
      expect((await buffer(compressed(Readable.from(pieces)))).equals(whole), `pieces of ${size} bytes`).toBe(true);
      const late = new PassThrough();
      for (const piece of pieces) late.write(piece);
      setImmediate(() => late.end());
      expect((await buffer(compressed(late))).equals(whole)).toBe(true);
    }
  });

  it('may be a tar, too, and nothing else', async () => {
    const folder = await unpacked(zstdCompressSync(await tarOf({ 'model.onnx': 'weights' })));
    expect(await readFile(join(folder, 'model.onnx'), 'utf8')).toBe('weights');
    expect(await refusalOf(zstdCompressSync(Buffer.from('weights')))).toMatchObject({
      code: 'INVALID_ARCHIVE',
      message: 'What the body unpacks to is not a tar or slip archive.',
    });
  });

  it('in which a byte has changed, or that is cut short, is refused, or still holds the same files', async () => {
    const files: ArchiveFiles = new Map([
      ['model.onnx', { content: 'weights'.repeat(40) }],
      ['slipway.json', { content: '{"metrics":{"accuracy":0.98}}' }],
    ]);
    const slip = await compressedSlip(files);
    /** Zstandard has bits that stand for nothing, and a checksum at its end that the digests of the files make superfluous. */
    const isRefusedOrWhole = async (body: Buffer): Promise<void> => {
      if ((await refusalOf(body)) !== undefined) return;
      const folder = await unpacked(body);
      for (const [name, file] of files) expect(await readFile(join(folder, name), 'utf8')).toBe((file as { content: string }).content);
    };
    const offset = fc.nat(slip.length - 1);
    const change = fc.integer({ min: 1, max: 255 });
    const flipped = fc.asyncProperty(offset, change, (at, bits) => {
      const changed = Buffer.from(slip);
      changed[at]! ^= bits;
      return isRefusedOrWhole(changed);
    });
    await fc.assert(flipped, { numRuns: 200 });
    const cut = fc.asyncProperty(offset, (length) => isRefusedOrWhole(slip.subarray(0, length)));
    await fc.assert(cut, { numRuns: 50 });
    expect(await refusalOf(slip.subarray(0, slip.length / 2))).toBeDefined();
  });

  it('that would fill the disk is given up at the limit', async () => {
    const slip = await compressedSlip(new Map([['model.onnx', { content: '0'.repeat(LIMITS.maxUnpackedBytes + 1) }]]));
    expect(slip.length).toBeLessThan(1_000);
    expect(await refusalOf(slip)).toMatchObject({ code: 'ARCHIVE_TOO_LARGE' });
  });

  it('is far smaller once weights are a few different numbers', async () => {
    const target = await temporaryFolder();
    await cluster({ folder: DIGITS, target }, { clusters: 16 });
    const [floats, clustered] = [await modelBytes(DIGITS, 'onnx', ['model.onnx']), await modelBytes(target, 'onnx', ['model.onnx'])];
    expect(floats.sizeBytes / floats.compressedBytes).toBeLessThan(1.2);
    expect(floats.sizeBytes / clustered.compressedBytes).toBeGreaterThan(7);
  });

  it('cannot be made where a file is missing', async () => {
    await expect(compressedSlip(new Map([['model.onnx', { path: '/nowhere/model.onnx' }]]))).rejects.toThrow(/ENOENT/);
  });
});
