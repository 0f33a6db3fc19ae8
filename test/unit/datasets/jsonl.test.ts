import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ingestFiles, readRecords } from '../../helpers/datasets.ts';

const linesOf = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

describe('reading JSON Lines', () => {
  it('reads back texts, numbers and vectors', async () => {
    const row = fc.record({
      text: fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `x${text.trim()}`),
      number: fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
      vector: fc.array(
        fc.float({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
        { minLength: 3, maxLength: 3 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
        const { folder } = await ingestFiles({ 'a.jsonl': linesOf(rows) });
        expect(await readRecords(folder)).toEqual(rows.map(({ text, number, vector }) => [text, number, vector]));
      }),
      { numRuns: 30 },
    );
  });

  it('takes columns as they come, and what is not there as missing', async () => {
    const { folder, description } = await ingestFiles({
      'a.ndjson': linesOf([{ a: 1, never: null }, { b: true, a: null }, { c: 'red', b: false }, { c: 'red' }]),
    });
    expect(description).toMatchObject({
      format: 'jsonl',
      rows: 4,
      columns: [
        { name: 'a', type: 'integer', missing: 3 },
        { name: 'b', type: 'boolean', missing: 2 },
        { name: 'c', type: 'category', missing: 2 },
        { name: 'never', missing: 4 },
      ],
    });
    expect(await readRecords(folder)).toEqual([
      [1, Number.NaN, undefined, Number.NaN],
      [Number.NaN, 1, undefined, Number.NaN],
      [Number.NaN, 0, 'red', Number.NaN],
      [Number.NaN, Number.NaN, 'red', Number.NaN],
    ]);
  });

  it('finds columns that come late, and types that change late', async () => {
    const rows = Array.from({ length: 3_000 }, (_row, index) => ({
      n: index < 2_500 ? index : `n${index}`,
      ...(index > 2_000 && { late: 1 }),
    }));
    const { folder, description } = await ingestFiles({ 'a.jsonl': linesOf(rows) });
    expect(description.columns).toMatchObject([
      { name: 'n', type: 'text', missing: 0 },
      { name: 'late', type: 'integer', missing: 2_001 },
    ]);
    const records = await readRecords(folder);
    expect(records[7]).toEqual(['7', Number.NaN]);
    expect(records[2_999]).toEqual(['n2999', 1]);
  });

  it('knows a file without a name by its first letter', async () => {
    expect((await ingestFiles({ data: '{"a":1}\r\n\r\n{"a":2}' })).description).toMatchObject({ format: 'jsonl', rows: 2 });
  });

  it('leaves bad lines out up to a limit and says which', async () => {
    const bad = [
      '{"a":1,"v":[1,2]}',
      '{"a":',
      '[1]',
      '{"a":{"b":1},"v":[1,2]}',
      '{"a":2,"v":[1,2,3]}',
      '{"a":3,"v":["x","y"]}',
      '{"a":4}',
      '{"a":[1],"v":[1,2]}',
    ];
    const { description } = await ingestFiles({ 'a.jsonl': `${bad.join('\n')}\n{"a":5,"v":[3,4]}\n` }, { maxSkipped: 7 });
    expect(description.rows).toBe(2);
    // Rows that are whole but do not fit are found when they are written.
    expect(Object.fromEntries(description.skipped.first.map(({ place, reason }) => [place, reason]))).toEqual({
      'line 2': expect.stringContaining('not valid JSON'),
      'line 3': 'is no JSON object; each line must be one',
      'line 4': '"a" is an object; values are texts, numbers, booleans, arrays of numbers and lists of texts',
      'line 5': '"v" is an array of another shape than [2], which it has in the first row',
      'line 6': '"v" is an array that holds something else than numbers',
      'line 7': '"v" is missing; an array must be there in every row',
      'line 8': '"a" is an array, but a single value in other rows',
    });
    const error = await ingestFiles({ 'a.jsonl': bad.join('\n') }, { maxSkipped: 6 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_DATASET' });
  });

  it('refuses lines without end', async () => {
    const error = await ingestFiles({ 'a.jsonl': `{"a":"${'x'.repeat(2_000_000)}"}` }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_DATASET', message: 'a.jsonl has a line of more than 1000000 bytes.' });
  });
});
