import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchOptions, Examples } from '../../../src/datasets/dataset.ts';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { ingestFiles, readExamples } from '../../helpers/datasets.ts';

const ROWS = 40_000;

/** Rows with their number as feature and as target; 16 bytes each, so 16,384 to a block. */
async function numbered(rows: number, bufferBytes: number): Promise<Examples> {
  const { folder } = await ingestFiles({
    'a.csv': `row,value\n${Array.from({ length: rows }, (_row, index) => `${index},${index * 2}.5\n`).join('')}`,
  });
  const dataset = openDataset(folder, { bufferBytes });
  const preparation = await dataset.prepare({ target: 'value', features: ['row'], scaling: 'none', split: { validation: 0.1, test: 0 } });
  return dataset.open(preparation);
}

async function orderOf(examples: Examples, options: Omit<BatchOptions, 'split'>): Promise<number[]> {
  const read = await readExamples(examples, { split: 'train', ...options });
  expect(read.find(({ input, target }) => target[0] !== input[0]! * 2 + 0.5)).toBeUndefined();
  return read.map(({ input }) => input[0]!);
}

const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

describe('batches', () => {
  it('give every row of a split once, in an order that seed and epoch decide, out of a buffer of any size', async () => {
    // One block, two blocks and the whole dataset at once.
    for (const bufferBytes of [1, 600_000, 64 * 1024 * 1024]) {
      const examples = await numbered(ROWS, bufferBytes);
      const inOrder = await orderOf(examples, { batchSize: 1_000 });
      expect(inOrder).toHaveLength(ROWS * 0.9);
      expect(inOrder).toEqual(ascending(inOrder));
      const first = await orderOf(examples, { batchSize: 1_000, shuffle: { seed: 1, epoch: 0 } });
      expect(first).not.toEqual(inOrder);
      expect(ascending(first)).toEqual(inOrder);
      expect(await orderOf(examples, { batchSize: 37, shuffle: { seed: 1, epoch: 0 } })).toEqual(first);
      expect(await orderOf(examples, { batchSize: 1_000, shuffle: { seed: 1, epoch: 1 } })).not.toEqual(first);
      expect(await orderOf(examples, { batchSize: 1_000, shuffle: { seed: 2, epoch: 0 } })).not.toEqual(first);
      await examples.close();
    }
  });

  it('go on in the middle of an epoch with the rows that a pass without an end would have given', async () => {
    for (const bufferBytes of [1, 64 * 1024 * 1024]) {
      const examples = await numbered(ROWS, bufferBytes);
      const order = { seed: 5, epoch: 2 };
      const whole = await orderOf(examples, { batchSize: 64, shuffle: order });
      for (const skip of [1, 200, 257, 562]) {
        expect(await orderOf(examples, { batchSize: 64, shuffle: order, skip })).toEqual(whole.slice(skip * 64));
      }
      expect(await orderOf(examples, { batchSize: 64, shuffle: order, skip: 1_000 })).toEqual([]);
      await examples.close();
    }
  });

  it('are full but for the last, which can be left out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 1, max: 60 }), async (rows, batchSize) => {
        const examples = await numbered(rows, 1);
        const sizes: number[] = [];
        for await (const { size, inputs, target } of examples.batches({ split: 'train', batchSize })) {
          sizes.push(size);
          expect(inputs[0]).toMatchObject({ dtype: 'FP32', shape: [size, 1] });
          expect(target).toMatchObject({ dtype: 'FP32', shape: [size, 1] });
        }
        const { train } = examples.preparation.rows;
        const full = Math.floor(train / batchSize);
        expect(sizes).toEqual([...Array<number>(full).fill(batchSize), ...(train % batchSize > 0 ? [train % batchSize] : [])]);
        expect(await orderOf(examples, { batchSize, dropLast: true })).toHaveLength(full * batchSize);
        await examples.close();
      }),
      { numRuns: 20 },
    );
  });

  it('use the same memory again, and can be left early', async () => {
    const examples = await numbered(5_000, 1);
    const seen = new Set<ArrayBufferLike>();
    let batches = 0;
    for await (const { inputs } of examples.batches({ split: 'train', batchSize: 32 })) {
      seen.add(inputs[0]!.data.buffer);
      batches += 1;
      if (batches === 20) break;
    }
    expect(seen.size).toBe(1);
    await examples.close();
  });
});
