import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { filesOf } from '../../../src/packages/pack.ts';
import { packSlip } from '../../../src/packages/slip.ts';
import { unpackArchive } from '../../../src/packages/unpack.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LIMITS = { maxUnpackedBytes: 1_000_000, maxFiles: 100, maxCompressedBytes: 1_000_000 };
const FILES = { 'deep/er/empty': '', 'model.onnx': 'weights'.repeat(40), 'slipway.json': '{"metrics":{"accuracy":0.98}}' };

const slipOf = (files: Record<string, string>): Promise<Buffer> =>
  buffer(packSlip(new Map(Object.entries(files).map(([name, content]) => [name, { content }]))));

/** A package by hand, whose list may say anything. */
function slipWith(list: unknown, contents = ''): Buffer {
  const json = Buffer.from(typeof list === 'string' ? list : JSON.stringify(list));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([Buffer.from('SLIPPKG1'), length, createHash('sha256').update(json).digest(), json, Buffer.from(contents)]);
}

function entry(name: string, content: string): { name: string; bytes: number; sha256: string } {
  return { name, bytes: Buffer.byteLength(content), sha256: createHash('sha256').update(content).digest('hex') };
}

/** Unpacks chunks of an awkward size, so that headers are cut anywhere. */
async function unpacked(slip: Buffer): Promise<string> {
  const folder = join(await temporaryFolder(), 'out');
  const chunks: Buffer[] = [];
  for (let start = 0; start < slip.length; start += 33) chunks.push(slip.subarray(start, start + 33));
  await unpackArchive(Readable.from(chunks), folder, LIMITS);
  return folder;
}

async function refusalOf(slip: Buffer): Promise<SlipwayError> {
  const folder = join(await temporaryFolder(), 'out');
  const refusal: unknown = await unpackArchive(Readable.from([slip]), folder, LIMITS).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refusal).toBeInstanceOf(SlipwayError);
  expect(existsSync(folder)).toBe(false);
  return refusal as SlipwayError;
}

describe('a slip', () => {
  it('gives back every file to the bit, and again the same bytes', async () => {
    const slip = await slipOf(FILES);
    const folder = await unpacked(slip);
    for (const [name, content] of Object.entries(FILES)) expect(await readFile(join(folder, name), 'utf8')).toBe(content);
    expect((await buffer(packSlip(await filesOf(folder)))).equals(slip)).toBe(true);
    expect(await slipOf(Object.fromEntries(Object.entries(FILES).toReversed()))).toEqual(slip);
  });

  it('is refused when any bit is flipped, with the name of the file', async () => {
    const slip = await slipOf(FILES);
    const firstContent = slip.length - FILES['model.onnx'].length - FILES['slipway.json'].length;
    const flips = fc.tuple(fc.integer({ min: 0, max: slip.length - 1 }), fc.integer({ min: 0, max: 7 }));
    await fc.assert(
      fc.asyncProperty(flips, async ([at, bit]) => {
        const changed = Buffer.from(slip);
        changed[at]! ^= 1 << bit;
        const { code, message } = await refusalOf(changed);
        if (at < firstContent) expect(['INVALID_ARCHIVE', 'ARCHIVE_TOO_LARGE', 'DIGEST_MISMATCH']).toContain(code);
        else {
          expect(code).toBe('DIGEST_MISMATCH');
          expect(message).toContain(at < firstContent + FILES['model.onnx'].length ? 'model.onnx' : 'slipway.json');
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is refused when it is cut anywhere, or longer', async () => {
    const slip = await slipOf(FILES);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: slip.length - 1 }), async (length) => {
        expect((await refusalOf(slip.subarray(0, length))).code).toBe('INVALID_ARCHIVE');
      }),
      { numRuns: 50 },
    );
    expect((await refusalOf(Buffer.concat([slip, Buffer.from('x')]))).message).toBe('The package goes on after its last file.');
  });

  it.each([
    ['two manifests', { files: [entry('slipway.json', '{}'), entry('slipway.json', '{}')] }, '{}{}', 'is there twice'],
    ['a file outside', { files: [entry('../model.onnx', 'x')] }, 'x', 'leads out of the archive'],
    ['an absolute path', { files: [entry('/model.onnx', 'x')] }, 'x', 'has an absolute path'],
    ['no files', { files: [] }, '', 'holds no files'],
    ['a list of another shape', { files: [{ ...entry('model.onnx', 'x'), bytes: -1 }] }, 'x', 'files[0].bytes'],
    ['a list that is no JSON', 'nothing', '', 'not valid JSON'],
  ])('is refused with %s', async (_what, list, contents, message) => {
    const refusal = await refusalOf(slipWith(list, contents));
    expect(refusal.code).toBe('INVALID_ARCHIVE');
    expect(refusal.message).toContain(message);
  });

  it('is refused by the sizes it states, before they are read', async () => {
    expect((await refusalOf(slipWith({ files: [{ ...entry('model.onnx', 'x'), bytes: 2_000_000 }] }, 'x'))).code).toBe('ARCHIVE_TOO_LARGE');
    const huge = slipWith({ files: [] });
    huge.writeUInt32LE(0xffffffff, 8);
    expect((await refusalOf(huge)).message).toContain('list of files of 4294967295 bytes');
  });
});
