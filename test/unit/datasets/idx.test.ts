import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { ingestFiles, readExamples, readRecords } from '../../helpers/datasets.ts';
import { idxOf, realDigits } from '../../helpers/digits.ts';

describe('reading IDX', () => {
  it('reads MNIST as images and labels', async () => {
    const { images, labels } = realDigits(20);
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
    const preparation = await dataset.prepare({ target: 'label', image: { layout: 'CHW' }, split: { validation: 0, test: 0 } });
    expect(preparation.inputs[0]!.shape).toEqual([3, 2, 2]);
    const examples = await dataset.open(preparation);
    const [first] = await readExamples(examples, { split: 'train', batchSize: 2 });
    await examples.close();
    expect(first!.input.map((level) => Math.round(level * 255))).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
  });

  it('makes images of another size and with colours', async () => {
    const { images, labels } = realDigits(2);
    const { folder } = await ingestFiles({ images: idxOf([20, 28, 28], images), labels: idxOf([20], labels) });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({
      target: 'label',
      image: { width: 14, height: 14, channels: 3 },
      split: { validation: 0, test: 0 },
    });
    expect(preparation.inputs[0]!.shape).toEqual([14, 14, 3]);
    const examples = await dataset.open(preparation);
    const read = await readExamples(examples, { split: 'train', batchSize: 20 });
    await examples.close();
    for (const [index, { input }] of read.entries()) {
      const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
      // A smaller picture is as bright as the large one.
      expect(mean(input)).toBeCloseTo(mean(images.subarray(index * 784, (index + 1) * 784)) / 255, 1);
      expect(input[294]).toBe(input[295]);
    }
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
