import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Preparation, PreparationRequest, Split } from '../../../src/datasets/dataset.ts';
import { SPLITS } from '../../../src/datasets/dataset.ts';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import type { TablePreprocessing } from '../../../src/packages/manifest.ts';
import { preprocessTable, type TableRow } from '../../../src/preprocessing/table.ts';
import { type Example, ingestFiles, readExamples, readRecords, saved } from '../../helpers/datasets.ts';

const data = (name: string): Promise<Buffer> => readFile(new URL(`../../../examples/data/${name}`, import.meta.url));

async function ingested(name: string): Promise<string> {
  return (await ingestFiles({ [name]: await data(name) })).folder;
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Rows `row,label` with labels of these counts, one class after the other. */
function labelled(counts: readonly number[]): string {
  const labels = counts.flatMap((count, label) => Array<string>(count).fill(`c${label}`));
  return `row,label\n${labels.map((label, row) => `${row},${label}\n`).join('')}`;
}

/** The number of each row of a split; the feature `row` is not scaled. */
async function rowsOf(folder: string, preparation: Preparation, split: Split): Promise<number[]> {
  const examples = await openDataset(folder).open(preparation);
  const read = await readExamples(examples, { split, batchSize: 7 });
  await examples.close();
  return read.map(({ input }) => input[0]!);
}

describe('splits', () => {
  const bare = { target: 'label', features: ['row'], scaling: 'none' } as const;

  it('are a partition of the rows with the shares asked for, of each class alike, the same for the same seed', async () => {
    const counts = fc.array(fc.integer({ min: 2, max: 60 }), { minLength: 2, maxLength: 5 });
    const share = fc.double({ min: 0, max: 0.4, noNaN: true });
    await fc.assert(
      fc.asyncProperty(counts, share, share, fc.integer(), async (classes, validation, test, seed) => {
        const { folder } = await ingestFiles({ 'a.csv': labelled(classes) });
        const dataset = openDataset(folder);
        const request: PreparationRequest = { ...bare, split: { validation, test, seed } };
        const preparation = await dataset.prepare(request);
        const parts = await Promise.all(SPLITS.map((split) => rowsOf(folder, preparation, split)));
        const total = classes.reduce((sum, count) => sum + count, 0);
        expect(parts.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_row, index) => index));
        expect(preparation.rows.test).toBe(Math.round(total * test));
        expect(Math.abs(preparation.rows.validation - total * validation)).toBeLessThanOrEqual(1.5);
        let first = 0;
        for (const count of classes) {
          const tested = parts[2]!.filter((row) => row >= first && row < first + count).length;
          expect(Math.abs(tested - count * test)).toBeLessThanOrEqual(1);
          first += count;
        }
        expect(await dataset.prepare(request)).toEqual(preparation);
        // A process that goes on with a saved preparation finds the same rows.
        expect(await rowsOf(folder, saved(preparation), 'test')).toEqual(parts[2]);
      }),
      { numRuns: 25 },
    );
  });

  it('differ between seeds', async () => {
    const { folder } = await ingestFiles({ 'a.csv': labelled([50, 50]) });
    const dataset = openDataset(folder);
    const tests = await Promise.all(
      [1, 2].map(async (seed) => rowsOf(folder, await dataset.prepare({ ...bare, split: { seed } }), 'test')),
    );
    expect(tests[0]).not.toEqual(tests[1]);
  });

  it('follow a column, and draw what it does not name', async () => {
    const rows = Array.from(
      { length: 40 },
      (_row, index) => `${index},c${index % 2},${index >= 30 ? 'test' : index >= 28 ? 'later' : 'train'}`,
    );
    const { folder } = await ingestFiles({ 'a.csv': `row,label,part\n${rows.join('\n')}\n` });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ ...bare, split: { column: 'part', validation: 0.25 } });
    expect(preparation).toMatchObject({ rows: { train: 21, validation: 7, test: 10 }, unusedRows: 2, features: ['row'] });
    expect(await rowsOf(folder, preparation, 'test')).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    expect(await refusal(dataset.prepare({ ...bare, split: { column: 'part', test: 0.1 } }))).toMatchObject({ code: 'UNSUITABLE_DATA' });
    expect(await refusal(dataset.prepare({ ...bare, split: { column: 'label' } }))).toMatchObject({ code: 'UNSUITABLE_DATA' });
    expect(await refusal(dataset.prepare({ ...bare, split: { column: 'nothing' } }))).toMatchObject({ code: 'COLUMN_NOT_FOUND' });
    expect(await refusal(dataset.prepare({ ...bare, split: { validation: 0.6, test: 0.5 } }))).toMatchObject({ code: 'UNSUITABLE_DATA' });
  });

  it('take the end of an ordered dataset', async () => {
    const { folder } = await ingestFiles({ 'a.csv': labelled([10, 10]).replaceAll(/c\d/g, (label) => label) });
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({
      features: ['row'],
      scaling: 'none',
      split: { order: 'ordered', validation: 0.1, test: 0.2 },
    });
    expect(preparation.target).toEqual({ kind: 'none' });
    expect(await rowsOf(folder, preparation, 'validation')).toEqual([14, 15]);
    expect(await rowsOf(folder, preparation, 'test')).toEqual([16, 17, 18, 19]);
  });
});

describe('preparing a table', () => {
  it('scales, names categories and fills in what is missing by the training rows alone', async () => {
    const folder = await ingested('penguins.csv');
    const preparation = await openDataset(folder).prepare({ target: 'species', split: { seed: 3 } });
    expect(preparation).toMatchObject({
      dataset: { id: 'id', name: 'name' },
      target: { kind: 'class', column: 'species', labels: ['Adelie', 'Chinstrap', 'Gentoo'] },
      // 344 rows; a tenth each, rounded.
      rows: { train: 276, validation: 34, test: 34 },
      inputs: [{ name: 'features', dtype: 'FP32', shape: [10] }],
    });
    expect(preparation.preprocessing).toMatchObject({
      kind: 'table',
      columns: [
        { kind: 'category', name: 'island', categories: ['Biscoe', 'Dream', 'Torgersen'], missing: 'refuse' },
        { kind: 'number', name: 'bill_length_mm' },
        { kind: 'number', name: 'bill_depth_mm' },
        { kind: 'number', name: 'flipper_length_mm' },
        { kind: 'number', name: 'body_mass_g' },
        { kind: 'category', name: 'sex', categories: ['female', 'male'], missing: 'ignore' },
        { kind: 'number', name: 'year' },
      ],
    });
    const examples = await openDataset(folder).open(preparation);
    const train = await readExamples(examples, { split: 'train', batchSize: 50 });
    await examples.close();
    for (const column of [3, 4, 5, 6]) {
      const values = train.map(({ input }) => input[column]!);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(mean).toBeCloseTo(0, 5);
      // Missing values lie on the mean and take a little from the deviation.
      const std = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
      expect(std).toBeGreaterThan(0.99);
      expect(std).toBeLessThanOrEqual(1.000_001);
    }
    expect(train.filter(({ input }) => input[7] === 0 && input[8] === 0).length).toBeGreaterThan(5);
  });

  it.each([
    ['penguins.csv', 'species'],
    ['wine.csv', 'kind'],
  ])('makes of %s in training what the server makes of the same rows', async (name, target) => {
    const folder = await ingested(name);
    const dataset = openDataset(folder);
    const { columns } = dataset.description;
    const preparation = await dataset.prepare({ target, split: { validation: 0, test: 0 } });
    const examples = await dataset.open(preparation);
    const trained = await readExamples(examples, { split: 'train', batchSize: 64 });
    await examples.close();
    const rows = (await readRecords(folder)).map((record) =>
      Object.fromEntries(
        record.flatMap((value, index) =>
          columns[index]!.name === target ? [] : [[columns[index]!.name, Number.isNaN(value) ? null : value]],
        ),
      ),
    ) as TableRow[];
    const served = preprocessTable(rows, preparation.preprocessing as TablePreprocessing);
    expect([...(served.data as Float32Array)]).toEqual(trained.flatMap(({ input }) => input));
    const targetIndex = columns.findIndex((column) => column.name === target);
    const { labels } = preparation.target as Preparation['target'] & { kind: 'class' };
    expect(trained.map((example) => labels[example.target[0]!])).toEqual((await readRecords(folder)).map((record) => record[targetIndex]));
  });

  it('predicts numbers as they are', async () => {
    const folder = await ingested('penguins.csv');
    const preparation = await openDataset(folder).prepare({ target: 'body_mass_g', features: ['flipper_length_mm'], split: { seed: 1 } });
    expect(preparation.target).toMatchObject({ kind: 'number', column: 'body_mass_g', width: 1 });
    // Two penguins were not weighed.
    expect(preparation.unusedRows).toBe(2);
    const examples = await openDataset(folder).open(preparation);
    const read = await readExamples(examples, { split: 'train', batchSize: 1 });
    await examples.close();
    expect(Math.min(...read.map((example: Example) => example.target[0]!))).toBeGreaterThan(2_000);
  });

  it('predicts vectors', async () => {
    const lines = Array.from({ length: 10 }, (_row, index) => JSON.stringify({ x: [index, index], y: [index, 2 * index, 0.5] }));
    const { folder } = await ingestFiles({ 'a.jsonl': lines.join('\n') });
    const preparation = await openDataset(folder).prepare({ target: 'y', scaling: 'none', split: { validation: 0, test: 0 } });
    expect(preparation).toMatchObject({ target: { kind: 'number', width: 3 }, inputs: [{ shape: [2] }] });
    const examples = await openDataset(folder).open(preparation);
    const read = await readExamples(examples, { split: 'train', batchSize: 4 });
    await examples.close();
    expect(read[7]).toEqual({ input: [7, 7], target: [7, 14, 0.5] });
  });

  it.each<[what: string, csv: string, request: PreparationRequest, code: string, message: RegExp]>([
    ['a target that is no column', labelled([5, 5]), { target: 'kind' }, 'COLUMN_NOT_FOUND', /"kind" is no column .* "row", "label"/],
    ['a feature that is no column', labelled([5, 5]), { target: 'label', features: ['x'] }, 'COLUMN_NOT_FOUND', /"x"/],
    ['one class', labelled([10]), { target: 'label' }, 'UNSUITABLE_DATA', /same label "c0"/],
    ['a target as a feature', labelled([5, 5]), { target: 'label', features: ['label'] }, 'UNSUITABLE_DATA', /cannot be a feature/],
    ['a feature twice', labelled([5, 5]), { target: 'label', features: ['row', 'row'] }, 'UNSUITABLE_DATA', /named twice/],
    ['no feature', labelled([5, 5]), { target: 'label', features: [] }, 'UNSUITABLE_DATA', /empty/],
    ['classes of fractions', 'a,b\n1,0.5\n2,1.5\n', { target: 'b', task: 'classification' }, 'UNSUITABLE_DATA', /number with fractions/],
    ['regression of categories', labelled([5, 5]), { target: 'label', task: 'regression' }, 'UNSUITABLE_DATA', /category/],
    ['a column without a value', 'a,b,c\n1,,x\n2,,y\n', { target: 'c', features: ['b'] }, 'UNSUITABLE_DATA', /"b" has no value/],
    [
      'a label that only test rows have',
      'a,label,split\n1,x,train\n2,y,train\n3,z,test\n4,x,test\n',
      { target: 'label', split: { column: 'split', validation: 0 } },
      'UNSUITABLE_DATA',
      /No training row has the label "z"/,
    ],
  ])('refuses %s', async (_what, csv, request, code, message) => {
    const { folder } = await ingestFiles({ 'a.csv': csv });
    const error = (await refusal(openDataset(folder).prepare(request))) as { code: string; message: string };
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('does not open with the preparation of other data', async () => {
    const one = await ingestFiles({ 'a.csv': labelled([5, 5]) });
    const other = await ingestFiles({ 'a.csv': labelled([5, 6]) });
    const preparation = await openDataset(one.folder).prepare({ target: 'label' });
    expect(await refusal(openDataset(other.folder).open(preparation))).toMatchObject({ code: 'UNSUITABLE_DATA' });
    const changed = { ...preparation, split: { ...preparation.split, test: 0.5 } };
    expect(await refusal(openDataset(one.folder).open(changed))).toMatchObject({ code: 'UNSUITABLE_DATA' });
  });
});
