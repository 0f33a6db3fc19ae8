import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { expandFolders } from '../../../src/datasets/sources/expand-folders.ts';
import type { ImagePreprocessing } from '../../../src/packages/manifest.ts';
import { preprocessImage } from '../../../src/preprocessing/image.ts';
import { type Files, tarGzOf, tarOf, zipOf } from '../../helpers/archives.ts';
import { ingestFiles, readExamples } from '../../helpers/datasets.ts';
import { realDigits, SIDE } from '../../helpers/digits.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const PER_CLASS = 3;
const { images, labels } = realDigits(PER_CLASS);
/** Real digits as grey PNG in folders by class. */
const files: Record<string, Buffer> = {};

beforeAll(async () => {
  for (const [index, label] of labels.entries()) {
    const raw = { width: SIDE, height: SIDE, channels: 1 } as const;
    const pixels = images.subarray(index * SIDE * SIDE, (index + 1) * SIDE * SIDE);
    files[`${label}/${index}.png`] = await sharp(pixels, { raw }).toColourspace('b-w').png().toBuffer();
  }
});

const zipOfFiles = (content: Files): Buffer => zipOf(Object.entries(content).map(([name, bytes]) => ({ name, content: bytes })));
const plain = (width: number, height: number, background = 'red'): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background } })
    .jpeg()
    .toBuffer();

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  return work.then(
    () => ({ code: 'none', message: '' }),
    (error: { code: string; message: string }) => error,
  );
}

describe('reading images', () => {
  it.each<[what: string, pack: () => Promise<Record<string, Buffer>>]>([
    ['a tar', async () => ({ 'digits.tar': await tarOf({ 'readme.txt': 'digits', ...files }) })],
    [
      'a gzipped tar with a folder around',
      async () => ({ data: await tarGzOf(Object.fromEntries(Object.entries(files).map(([name, file]) => [`./digits/${name}`, file]))) }),
    ],
    ['a zip', async () => ({ 'digits.zip': zipOfFiles({ '__MACOSX/0/0.png': 'no image', ...files }) })],
    ['files side by side', async () => files],
  ])('reads folders of classes from %s, each image as the server reads it', async (_what, pack) => {
    const { folder, description } = await ingestFiles(await pack());
    expect(description).toMatchObject({
      format: 'images',
      rows: 10 * PER_CLASS,
      columns: [
        { name: 'image', type: 'image', shape: [28, 28, 1] },
        {
          name: 'label',
          type: 'category',
          values: Array.from({ length: 10 }, (_class, digit) => ({ value: String(digit), count: PER_CLASS })),
        },
      ],
      skipped: { count: 0 },
    });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ target: 'label', split: { validation: 0, test: 0 } });
    const examples = await dataset.open(preparation);
    const read = await readExamples(examples, { split: 'train', batchSize: 7 });
    await examples.close();
    expect(read.map(({ target }) => target[0])).toEqual([...labels]);
    expect(read.flatMap(({ input }) => input)).toEqual([...Float32Array.from(images, (level) => level / 255)]);
    const served = await preprocessImage(files['0/0.png']!, preparation.preprocessing as ImagePreprocessing, { maxImagePixels: 1_000 });
    expect(read[0]!.input).toEqual([...(served.data as Float32Array)]);
  });

  it('reads a folder on the disk, by name, without what is hidden', async () => {
    const root = await temporaryFolder();
    for (const [name, content] of Object.entries({ ...files, '.git/0/0.png': files['0/0.png']!, '0/.hidden.png': 'x' })) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), content);
    }
    const found = await expandFolders([{ path: root, name: 'digits' }], 1_000);
    expect(found.map(({ name }) => name)).toEqual(Object.keys(files).toSorted());
    expect(await refusal(expandFolders([{ path: root, name: 'digits' }], 29))).toMatchObject({ code: 'DATASET_TOO_LARGE' });
  });

  it('knows splits by the folders around the classes', async () => {
    const image = await plain(4, 4);
    const { description } = await ingestFiles({
      'a.zip': zipOfFiles({ 'x/train/cat/1.jpg': image, 'x/train/dog/1.jpg': image, 'x/val/cat/2.jpg': image, 'x/test/dog/3.jpg': image }),
    });
    expect(description.splitColumn).toBe('split');
    expect(description.columns[2]!.values).toEqual([
      { value: 'train', count: 2 },
      { value: 'test', count: 1 },
      { value: 'validation', count: 1 },
    ]);
  });

  it('takes images of several sizes, and asks for one size before they are used', async () => {
    const { folder, description } = await ingestFiles({
      'a.tar': await tarOf({
        'red/1.jpg': await plain(8, 4),
        'red/2.jpg': await plain(6, 6),
        'blue/1.jpg': await plain(4, 8, 'blue'),
        'blue/2.jpg': await plain(4, 4, 'blue'),
      }),
    });
    expect(description.columns[0]).toMatchObject({ type: 'image', shapeRange: { smallest: [4, 4, 3], largest: [8, 8, 3] } });
    const dataset = openDataset(folder);
    const split = { validation: 0, test: 0 };
    expect(await refusal(dataset.prepare({ target: 'label', split }))).toMatchObject({
      code: 'UNSUITABLE_DATA',
      message: 'The images in "image" are of several sizes, 4×4 to 8×8; say which width and height they are to have.',
    });
    const preparation = await dataset.prepare({ target: 'label', split, image: { width: 2, height: 3, layout: 'CHW' } });
    expect(preparation.inputs[0]!.shape).toEqual([3, 3, 2]);
    const progress: number[] = [];
    const examples = await dataset.open(preparation, { onProgress: (done, total) => progress.push(done / total) });
    const read = await readExamples(examples, { split: 'train', batchSize: 4 });
    await examples.close();
    expect(progress.at(-1)).toBe(1);
    const [red, , blue] = read;
    for (let pixel = 0; pixel < 6; pixel += 1) {
      expect(red!.input[pixel]).toBeGreaterThan(0.9);
      expect(red!.input[12 + pixel]).toBeLessThan(0.1);
      expect(blue!.input[pixel]).toBeLessThan(0.1);
      expect(blue!.input[12 + pixel]).toBeGreaterThan(0.9);
    }
    // Made once: whoever opens the same again has nothing to wait for.
    const again = await dataset.open(preparation, { onProgress: () => expect.unreachable() });
    await again.close();
    expect(await readdir(join(folder, 'derived'))).toEqual(['pixels-0-2x3x3-fill-0.bin']);
  });

  it('leaves nothing of work that was given up', async () => {
    const { folder } = await ingestFiles(files);
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ target: 'label' });
    await expect(dataset.open(preparation, { signal: AbortSignal.abort() })).rejects.toThrow();
    expect(await readdir(join(folder, 'derived'))).toEqual([]);
  });

  it('names a damaged image among thousands, leaves it out up to a limit, or refuses', async () => {
    const good = files['0/0.png']!;
    const many: Record<string, Buffer> = {};
    for (let index = 0; index < 500; index += 1) many[`${index % 2}/${index}.png`] = good;
    many['1/77.png'] = good.subarray(0, good.length - 30);
    many['0/88.png'] = Buffer.from('this is no image');
    const archive = { 'a.tar': await tarOf(many) };
    const { description } = await ingestFiles(archive, { maxSkipped: 2 });
    expect(description.rows).toBe(498);
    expect(description.skipped.first.map(({ place }) => place)).toEqual(['1/77.png', '0/88.png']);
    expect(await refusal(ingestFiles(archive, { maxSkipped: 1 }))).toMatchObject({
      code: 'INVALID_DATASET',
      message: expect.stringMatching(/^0\/88\.png: /),
    });
    expect(await refusal(ingestFiles(archive))).toMatchObject({ code: 'INVALID_DATASET', message: expect.stringMatching(/^1\/77\.png: /) });
  });

  it.each<[what: string, make: () => Promise<Record<string, Buffer>>, code: string, message: RegExp]>([
    ['an archive without images', async () => ({ 'a.tar': await tarOf({ 'a.txt': 'x' }) }), 'INVALID_DATASET', /no rows/],
    ['an archive that is cut', async () => ({ 'a.tar': (await tarOf(files)).subarray(0, 2_000) }), 'INVALID_ARCHIVE', /a\.tar is damaged/],
    [
      'an image with too many pixels',
      async () => ({ '0/a.png': await plain(1_001, 1_000) }),
      'INVALID_DATASET',
      /0\/a\.png: .*1001000 pixels/,
    ],
    ['an image of too many bytes', async () => ({ '0/a.png': Buffer.alloc(1_000_001) }), 'INVALID_DATASET', /more than 1000000 bytes/],
  ])('refuses %s', async (_what, make, code, message) => {
    const error = await refusal(ingestFiles(await make()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
