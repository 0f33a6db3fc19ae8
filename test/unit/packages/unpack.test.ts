import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGzip, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { packVersion } from '../../../src/packages/pack.ts';
import { storeSingleFile, unpackArchive } from '../../../src/packages/unpack.ts';
import { tarGzOf, tarOf, tarOfEntries, zipOf } from '../../helpers/archives.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LIMITS = { maxUnpackedBytes: 1_000_000, maxFiles: 100, maxCompressedBytes: 1_000_000 };

/** Chunks of an awkward size, so that headers are cut anywhere. */
function streamOf(bytes: Buffer, size = 333): Readable {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) chunks.push(bytes.subarray(start, start + size));
  return Readable.from(chunks);
}

async function filesIn(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[relative(folder, path)] = await readFile(path, 'latin1');
  }
  return files;
}

describe('unpackArchive', () => {
  const files = { 'model.onnx': 'weights', 'slipway.json': '{}', 'deep/er/data.bin': Buffer.from([0, 255, 10]) };
  const expected = { 'model.onnx': 'weights', 'slipway.json': '{}', 'deep/er/data.bin': '\u0000\u00ff\n' };

  it.each([
    ['a tar', () => tarOf(files)],
    ['a tar.gz', () => tarGzOf(files)],
    ['a zip', async () => zipOf(Object.entries(files).map(([name, content]) => ({ name, content })))],
    [
      'a tar with ./ before its names',
      () => tarOf(Object.fromEntries(Object.entries(files).map(([name, content]) => [`./${name}`, content]))),
    ],
    [
      'files inside one folder',
      () => tarOf(Object.fromEntries(Object.entries(files).map(([name, content]) => [`my-model/${name}`, content]))),
    ],
  ])('writes the files of %s', async (_what, make) => {
    const target = join(await temporaryFolder(), 'target');
    expect(await unpackArchive(streamOf(await make()), target, LIMITS)).toEqual({ files: 3, bytes: 12 });
    expect(await filesIn(target)).toEqual(expected);
    expect((await stat(join(target, 'model.onnx'))).mode & 0o777).toBe(0o644);
    expect(await readdir(dirname(target))).toEqual(['target']);
  });

  const hostile: [what: string, make: () => Promise<Buffer>, code: string, message: RegExp][] = [
    ['a path that leads outside', () => tarOf({ 'a/../../evil': 'x' }), 'INVALID_ARCHIVE', /"a\/\.\.\/\.\.\/evil" leads out/],
    ['an absolute path', () => tarOf({ '/evil': 'x' }), 'INVALID_ARCHIVE', /absolute/],
    ['a drive letter', () => tarOf({ 'C:evil': 'x' }), 'INVALID_ARCHIVE', /drive/],
    ['a backslash', () => tarOf({ '..\\evil': 'x' }), 'INVALID_ARCHIVE', /backslash/],
    ['a control character', () => tarOf({ 'ev\u0001il': 'x' }), 'INVALID_ARCHIVE', /control character/],
    ['an endless path', () => tarOf({ [Array(20).fill('a').join('/')]: 'x' }), 'INVALID_ARCHIVE', /deep/],
    ['an endless name', () => tarOf({ ['n'.repeat(300)]: 'x' }), 'INVALID_ARCHIVE', /255 bytes/],
    ['a symbolic link', () => tarOfEntries([[{ name: 'evil', type: 'symlink', linkname: '/etc/passwd' }]]), 'INVALID_ARCHIVE', /symlink/],
    ['a hard link', () => tarOfEntries([[{ name: 'evil', type: 'link', linkname: '/etc/passwd' }]]), 'INVALID_ARCHIVE', /link/],
    ['a device', () => tarOfEntries([[{ name: 'evil', type: 'character-device' }]]), 'INVALID_ARCHIVE', /character-device/],
    ['a fifo', () => tarOfEntries([[{ name: 'evil', type: 'fifo' }]]), 'INVALID_ARCHIVE', /fifo/],
    ['a folder that leads outside', () => tarOfEntries([[{ name: '../evil/', type: 'directory' }]]), 'INVALID_ARCHIVE', /leads out/],
    [
      'a name twice',
      () =>
        tarOfEntries([
          [{ name: 'a' }, 'x'],
          [{ name: 'a' }, 'y'],
        ]),
      'INVALID_ARCHIVE',
      /twice/,
    ],
    ['names that differ in case only', () => tarOf({ a: 'x', A: 'y' }), 'INVALID_ARCHIVE', /twice/],
    ['a file that is a folder as well', () => tarOf({ a: 'x', 'a/b': 'y' }), 'INVALID_ARCHIVE', /inside a file/],
    ['a folder that is a file as well', () => tarOf({ 'a/b': 'x', a: 'y' }), 'INVALID_ARCHIVE', /twice/],
    [
      'too many files',
      () => tarOf(Object.fromEntries(Array.from({ length: 101 }, (_file, index) => [`f${index}`, '']))),
      'ARCHIVE_TOO_LARGE',
      /100 files/,
    ],
    ['too many bytes', () => tarGzOf({ a: Buffer.alloc(600_000), b: Buffer.alloc(600_000) }), 'ARCHIVE_TOO_LARGE', /1000000 bytes/],
    ['no files', () => tarOf({}), 'INVALID_ARCHIVE', /no files|not a tar/],
    ['a broken checksum', async () => Buffer.from(await tarOf({ a: 'x' })).fill('z', 0, 1), 'INVALID_ARCHIVE', /./],
    ['a tar cut short', async () => (await tarOf({ a: Buffer.alloc(2_000) })).subarray(0, 1_500), 'INVALID_ARCHIVE', /early|damaged/],
    ['a gzip cut short', async () => (await tarGzOf({ a: 'x'.repeat(10_000) })).subarray(0, 60), 'INVALID_ARCHIVE', /./],
    ['a gzip of something else', async () => gzipSync('hello'), 'INVALID_ARCHIVE', /./],
    ['text', async () => Buffer.from('hello'), 'INVALID_ARCHIVE', /not a tar, tar\.gz, tar\.zst, zip, slip or slip\.zst/],
    ['nothing', async () => Buffer.alloc(0), 'INVALID_ARCHIVE', /not a tar, tar\.gz, tar\.zst, zip, slip or slip\.zst/],
    ['an upload over its limit', () => tarOf({ a: Buffer.alloc(990_000), b: Buffer.alloc(9_000) }), 'BODY_TOO_LARGE', /1000000/],
    [
      'a zip with a path that leads outside',
      async () => zipOf([{ name: '../evil', content: 'x' }]),
      'INVALID_ARCHIVE',
      /"\.\.\/evil" leads out/,
    ],
    ['a zip with a folder that leads outside', async () => zipOf([{ name: '../evil/', content: '' }]), 'INVALID_ARCHIVE', /leads out/],
    ['a zip with an absolute path', async () => zipOf([{ name: '/evil', content: 'x' }]), 'INVALID_ARCHIVE', /"\/evil" has an absolute/],
    ['a zip with a drive letter', async () => zipOf([{ name: 'C:evil', content: 'x' }]), 'INVALID_ARCHIVE', /drive/],
    ['a zip with a backslash', async () => zipOf([{ name: '..\\evil', content: 'x' }]), 'INVALID_ARCHIVE', /backslash/],
    [
      'a zip whose content is not that of its checksum',
      async () => zipOf([{ name: 'a', content: 'x', statedChecksum: 1 }]),
      'INVALID_ARCHIVE',
      /"a" is damaged: .*checksum/,
    ],
    ['a zip with a link', async () => zipOf([{ name: 'evil', content: '/etc/passwd', mode: 0o120777 }]), 'INVALID_ARCHIVE', /link/],
    ['an encrypted zip', async () => zipOf([{ name: 'a', content: 'x', flags: 1 }]), 'INVALID_ARCHIVE', /encrypted/],
    [
      'a zip with a name twice',
      async () =>
        zipOf([
          { name: 'a', content: 'x' },
          { name: 'a', content: 'y' },
        ]),
      'INVALID_ARCHIVE',
      /twice/,
    ],
    [
      'a zip that lies about a size',
      async () => zipOf([{ name: 'a', content: 'x'.repeat(5_000), statedSize: 10 }]),
      'INVALID_ARCHIVE',
      /./,
    ],
    ['a zip cut short', async () => zipOf([{ name: 'a', content: 'x'.repeat(5_000) }]).subarray(0, 60), 'INVALID_ARCHIVE', /./],
    ['a zip of too many bytes', async () => zipOf([{ name: 'a', content: Buffer.alloc(1_500_000) }]), 'ARCHIVE_TOO_LARGE', /1000000/],
  ];

  it.each(hostile)('refuses %s and keeps nothing', async (_what, make, code, message) => {
    const folder = await temporaryFolder();
    const target = join(folder, 'in', 'target');
    await mkdir(join(folder, 'in'));
    const failure = await unpackArchive(streamOf(await make()), target, LIMITS).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(SlipwayError);
    expect(failure).toMatchObject({ code });
    expect((failure as SlipwayError).message).toMatch(message);
    expect(await readdir(folder)).toEqual(['in']);
    expect(await readdir(join(folder, 'in'))).toEqual([]);
  });

  it('refuses 10 GB of zeros by the size that the archive states, before any of them is unpacked', async () => {
    const folder = await temporaryFolder();
    const gigabytes = 10 * 1024 ** 3;
    const header = (await tarOfEntries([[{ name: 'model.onnx', size: 0 }, '']])).subarray(0, 512);
    // The size field of a tar header, in octal with a checksum over the header's bytes (POSIX ustar).
    header.write(`${gigabytes.toString(8).padStart(11, '0')} `, 124, 12, 'latin1');
    header.fill(' ', 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\u0000 `,
      148,
      8,
      'latin1',
    );
    let produced = 0;
    const zeros = Buffer.alloc(1024 * 1024);
    function* tar(): Generator<Buffer> {
      yield header;
      for (; produced < gigabytes; produced += zeros.length) yield zeros;
    }
    const tarGz = Readable.from(tar()).pipe(createGzip());
    await expect(unpackArchive(tarGz, join(folder, 'a'), LIMITS)).rejects.toMatchObject({ code: 'ARCHIVE_TOO_LARGE' });
    // No more than the streams on the way hold.
    expect(produced).toBeLessThan(gigabytes / 100);

    const zip = streamOf(zipOf([{ name: 'model.onnx', content: 'x', statedSize: 2 ** 32 - 2 }]));
    await expect(unpackArchive(zip, join(folder, 'b'), LIMITS)).rejects.toMatchObject({ code: 'ARCHIVE_TOO_LARGE' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('gives back what was packed, whatever the files are', async () => {
    const name = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
    const tree = fc.uniqueArray(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), fc.uint8Array({ maxLength: 2_000 })), {
      minLength: 1,
      maxLength: 8,
      // A name that is a file and a folder cannot be on disk.
      selector: ([parts]) => parts[0]!,
    });
    await fc.assert(
      fc.asyncProperty(tree, async (entries) => {
        const folder = await temporaryFolder();
        const content = Object.fromEntries([
          ...entries.map(([parts, bytes]) => [parts.join('/'), Buffer.from(bytes)] as const),
          ['model.onnx', 'm'],
        ]);
        await unpackArchive(streamOf(await tarOf(content)), join(folder, 'one'), LIMITS);
        const packed = await buffer(packVersion(join(folder, 'one')));
        await unpackArchive(streamOf(packed), join(folder, 'two'), LIMITS);
        expect(await filesIn(join(folder, 'two'))).toEqual(await filesIn(join(folder, 'one')));
        expect(await buffer(packVersion(join(folder, 'two')))).toEqual(packed);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses a zip whose compressed content is damaged', async () => {
    const folder = await temporaryFolder();
    const archive = zipOf([{ name: 'model.onnx', content: 'the model' }]);
    // The data of the first file begins behind its local header of 30 bytes and its name; 0b111 is no type of block.
    archive[30 + 'model.onnx'.length] = 0b111;
    const refused = unpackArchive(streamOf(archive), join(folder, 'a'), LIMITS);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARCHIVE', message: expect.stringContaining('damaged') });
    expect(await readdir(folder)).toEqual([]);
  });

  it('never takes damaged content of a zip or a gzip for what was sent', async () => {
    const folder = await temporaryFolder();
    // Nothing that deflate could shrink, so that most of the archive is content.
    const content = Buffer.from(Array.from({ length: 300 }, (_byte, index) => (index * index * 7919) % 256));
    const archives = [zipOf([{ name: 'model.onnx', content }]), await tarGzOf({ 'model.onnx': content })];
    let run = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...archives), fc.nat(), fc.integer({ min: 1, max: 255 }), async (archive, at, flips) => {
        const damaged = Buffer.from(archive);
        damaged[at % damaged.length]! ^= flips;
        run += 1;
        const target = join(folder, String(run));
        const taken = await unpackArchive(streamOf(damaged), target, LIMITS).catch(() => undefined);
        if (taken === undefined) refused += 1;
        // The name of a zip's entry is under no checksum.
        else expect(Object.values(await filesIn(target))).toEqual([content.toString('latin1')]);
      }),
      { numRuns: 300 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it('never does more than refuse a damaged archive, and leaves nothing behind', async () => {
    const folder = await temporaryFolder();
    const archives = [await tarOf(files), await tarGzOf(files), zipOf(Object.entries(files).map(([name, content]) => ({ name, content })))];
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...archives),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat()),
        async (archive, changes, cut) => {
          const damaged = Buffer.from(archive);
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
          run += 1;
          const target = join(folder, 'in', String(run));
          await mkdir(dirname(target), { recursive: true });
          const bytes = cut === null ? damaged : damaged.subarray(0, cut % damaged.length);
          const failure = await unpackArchive(streamOf(bytes), target, LIMITS).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (failure !== undefined) expect(failure).toBeInstanceOf(SlipwayError);
          expect(existsSync(target)).toBe(failure === undefined);
          expect(await readdir(folder)).toEqual(['in']);
          expect((await readdir(join(folder, 'in'))).filter((name) => !/^\d+$/.test(name))).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('storeSingleFile', () => {
  it('stores the body, and nothing of one that is too large', async () => {
    const folder = await temporaryFolder();
    await storeSingleFile(streamOf(Buffer.from('model')), join(folder, 'a'), 'model.onnx', { maxBytes: 5 });
    expect(await filesIn(folder)).toEqual({ 'a/model.onnx': 'model' });
    const tooLarge = storeSingleFile(streamOf(Buffer.from('model!')), join(folder, 'b'), 'model.onnx', { maxBytes: 5 });
    await expect(tooLarge).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(await readdir(folder)).toEqual(['a']);
  });
});
