import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ingestFiles, readRecords } from '../../helpers/datasets.ts';

const fixture = (name: string): Promise<Buffer> => readFile(new URL(`../../fixtures/datasets/${name}`, import.meta.url));

describe('reading Parquet', () => {
  it.each(['snappy', 'zstd', 'gzip'])('reads with %s what the CSV of the same rows holds', async (codec) => {
    const csv = await ingestFiles({ 'penguins.csv': await readFile(new URL('../../../examples/data/penguins.csv', import.meta.url)) });
    const parquet = await ingestFiles({ 'penguins.parquet': await fixture(`penguins-${codec}.parquet`) });
    expect(parquet.description.format).toBe('parquet');
    expect(parquet.description.columns).toEqual(csv.description.columns);
    expect(await readRecords(parquet.folder)).toEqual(await readRecords(csv.folder));
  });

  it('reads booleans, integers of 64 bits, dates, lists and dictionaries', async () => {
    const { folder, description } = await ingestFiles({ data: await fixture('types.parquet') });
    expect(description.columns.map(({ name, type, missing }) => [name, type, missing])).toEqual([
      ['flag', 'boolean', 1],
      ['big', 'category', 0],
      ['small', 'integer', 1],
      ['price', 'number', 1],
      ['day', 'category', 1],
      ['point', 'vector', 0],
      ['word', 'category', 0],
    ]);
    expect(await readRecords(folder)).toEqual([
      [1, '1152921504606846976', 1, 1.5, '2024-01-02', [1, 2], 'a'],
      [0, '1', Number.NaN, 2.5, undefined, [3, 4], 'b'],
      [Number.NaN, '2', 3, Number.NaN, '2025-12-31', [5, 6], 'a'],
    ]);
  });

  it('refuses damaged files', async () => {
    const whole = await fixture('penguins-snappy.parquet');
    for (const damaged of [whole.subarray(0, 4_000), Buffer.concat([whole.subarray(0, 100), Buffer.alloc(200), whole.subarray(300)])]) {
      const error = await ingestFiles({ 'a.parquet': damaged }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'INVALID_DATASET', message: expect.stringContaining('a.parquet') });
    }
  });
});
