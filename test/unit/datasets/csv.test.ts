import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ingestFiles, readRecords } from '../../helpers/datasets.ts';

/** A cell as RFC 4180 writes it, in quotes where it needs them. */
function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function csvOf(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(quote).join(',')}\r\n`).join('');
}

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => undefined,
    (thrown: { code: string; message: string }) => thrown,
  );
  return { code: error?.code ?? 'none', message: error?.message ?? '' };
}

describe('reading CSV', () => {
  it('reads back every text, however it is quoted', async () => {
    // Texts are trimmed, so none begins or ends with space; the letter keeps them from being numbers or missing.
    const text = fc
      .string({ unit: fc.constantFrom('a', 'é', '😀', '"', ',', '\n', '\r\n', ';', "'", ' ', '\t', '1'), maxLength: 12 })
      .map((inner) => `x${inner}x`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 40 }), async (rows) => {
        const { folder, description } = await ingestFiles({ 'a.csv': csvOf([['one', 'two'], ...rows]) }, { delimiter: ',' });
        expect(description.rows).toBe(rows.length);
        expect(await readRecords(folder)).toEqual(rows);
      }),
      { numRuns: 30 },
    );
  });

  it('reads back every number', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 40 }), async (numbers) => {
        const { folder } = await ingestFiles({ 'a.csv': csvOf([['x'], ...numbers.map((number) => [number.toExponential()])]) });
        expect(await readRecords(folder)).toEqual(numbers.map((number) => [number + 0])); // + 0: no −0;
      }),
      { numRuns: 30 },
    );
  });

  it('finds the types of columns, counts what is missing and measures numbers', async () => {
    const rows = [
      ['weight', 'legs', 'tame', 'kind', 'code', 'note'],
      ['3.5', '4', 'true', 'cat', '007', 'likes fish, and sleeps all day on the warm stones behind the old house'],
      ['', '4', 'false', 'dog', '012', 'barks at everyone who comes near the fence of the garden, day and night'],
      ['NA', '2', 'TRUE', 'hen', '099', 'lays an egg each morning; nobody knows where, for she hides them so well'],
      ['0.5', '?', 'false', 'cat', '007', 'was found in the rain by the road and stayed with us ever since that day'],
    ];
    const { description } = await ingestFiles({ 'animals.csv': csvOf(rows) });
    expect(description).toMatchObject({
      format: 'csv',
      rows: 4,
      columns: [
        { name: 'weight', type: 'number', missing: 2, min: 0.5, max: 3.5, mean: 2, std: 1.5 },
        {
          name: 'legs',
          type: 'integer',
          missing: 1,
          values: [
            { value: 4, count: 2 },
            { value: 2, count: 1 },
          ],
        },
        {
          name: 'tame',
          type: 'boolean',
          missing: 0,
          values: [
            { value: false, count: 2 },
            { value: true, count: 2 },
          ],
        },
        {
          name: 'kind',
          type: 'category',
          missing: 0,
          values: [
            { value: 'cat', count: 2 },
            { value: 'dog', count: 1 },
            { value: 'hen', count: 1 },
          ],
        },
        // What has leading zeros is a code, not a number.
        {
          name: 'code',
          type: 'category',
          values: [
            { value: '007', count: 2 },
            { value: '012', count: 1 },
            { value: '099', count: 1 },
          ],
        },
        { name: 'note', type: 'text', missing: 0 },
      ],
      skipped: { count: 0 },
    });
    expect(description.preview[1]).toMatchObject({ weight: null, legs: 4, tame: false, kind: 'dog', code: '012' });
  });

  it('writes all anew when a late row is of another type than the first thousands', async () => {
    const rows = Array.from({ length: 5_000 }, (_row, index) => [String(index), index === 4_500 ? 'unknown' : String(index % 7)]);
    const { folder, description } = await ingestFiles({ 'a.csv': csvOf([['n', 'day'], ...rows]) });
    expect(description.columns).toMatchObject([{ type: 'integer' }, { type: 'category' }]);
    expect(description.columns[1]!.values).toHaveLength(8);
    expect(await readRecords(folder)).toEqual(rows.map(([n, day]) => [Number(n), day]));
  });

  it('takes the types that its owner gives', async () => {
    const csv = 'zip,size\n10115,1\n20095,2\n';
    const { description } = await ingestFiles({ 'a.csv': csv }, { types: { zip: 'category', size: 'number' } });
    expect(description.columns).toMatchObject([{ type: 'category' }, { type: 'number' }]);
    expect(await refusal(ingestFiles({ 'a.csv': csv }, { types: { city: 'category' } }))).toMatchObject({ code: 'COLUMN_NOT_FOUND' });
    expect(await refusal(ingestFiles({ 'a.csv': 'a\n1\nx\n' }, { types: { a: 'number' } }))).toEqual({
      code: 'INVALID_DATASET',
      message: 'row 2: "a" is "x", which is no number. None may be left out; "maxSkipped" allows more.',
    });
  });

  it.each([
    ['semicolons', 'a;b\n1,5;x\n2;y\n', { columns: [{ type: 'category' }, { type: 'category' }] }],
    ['tabs', 'a\tb\n1\tx\n', { columns: [{ name: 'a' }, { name: 'b' }] }],
    ['no header', '1,2\n3,4\n', { rows: 2, columns: [{ name: 'column_1' }, { name: 'column_2' }] }],
    ['a byte order mark', '\uFEFFa,b\n1,2\n', { columns: [{ name: 'a' }, { name: 'b' }] }],
    ['no line end at the end, and empty lines', 'a,b\n\n1,2\n\n3,4', { rows: 2 }],
    ['a name in quotes with a delimiter', '"a;b;c;d",e\n1,2\n', { columns: [{ name: 'a;b;c;d' }, { name: 'e' }] }],
  ])('understands %s', async (_what, csv, expected) => {
    expect((await ingestFiles({ 'a.csv': csv })).description).toMatchObject(expected);
  });

  it('reads gzipped files, and gives the digest of the file', async () => {
    const csv = Buffer.from('a,b\n1,2\n');
    const plain = (await ingestFiles({ 'a.csv': csv })).description;
    const packed = (await ingestFiles({ 'a.csv.gz': gzipSync(csv) })).description;
    // printf 'a,b\n1,2\n' | sha256sum
    expect(plain.digest).toBe('492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470');
    expect(packed).toMatchObject({ rows: 1, columns: plain.columns });
    expect(packed.digest).not.toBe(plain.digest);
  });

  it('leaves bad rows out up to a limit and says which', async () => {
    const csv = 'a,b\n1,2\n3\n4,5,6\n7,8\n';
    const { description } = await ingestFiles({ 'a.csv': csv }, { maxSkipped: 2 });
    expect(description.rows).toBe(2);
    expect(description.skipped.count).toBe(2);
    expect(description.skipped.first.map(({ place }) => place)).toEqual(['row 2', 'row 3']);
    expect(await refusal(ingestFiles({ 'a.csv': csv }, { maxSkipped: 1 }))).toMatchObject({ code: 'INVALID_DATASET' });
    const none = await refusal(ingestFiles({ 'a.csv': csv }));
    expect(none).toEqual({
      code: 'INVALID_DATASET',
      message: 'row 2: has 1 cells; there are 2 columns. None may be left out; "maxSkipped" allows more.',
    });
  });

  it.each([
    ['no rows', 'a,b\n', /no rows/],
    ['nothing at all', '', /no rows/],
    ['a column twice', 'a,a\n1,2\n', /two columns with the name "a"/],
    ['zero bytes', 'a,b\n1,\u0000\n', /zero bytes/],
    ['UTF-16', Buffer.from('\uFEFFa,b\n1,2\n', 'utf16le'), /UTF-16/],
    ['quotes that go wrong', 'a,b\n1,2\n"x"y,1\n3,4\n', /a\.csv: .*line 3/],
    ['a damaged gzip', gzipSync(Buffer.from('a,b\n1,2\n'.repeat(1_000))).subarray(0, 40), /damaged/],
  ])('refuses %s', async (_what, content, message) => {
    const { code, message: said } = await refusal(ingestFiles({ 'a.csv': content }));
    expect(code).toBe('INVALID_DATASET');
    expect(said).toMatch(message);
  });

  it('refuses more than the limits', async () => {
    const csv = 'a,b\n1,2\n3,4\n';
    expect(await refusal(ingestFiles({ 'a.csv': csv }, {}, { maxRows: 1 }))).toMatchObject({ code: 'DATASET_TOO_LARGE' });
    expect(await refusal(ingestFiles({ 'a.csv': csv }, {}, { maxColumns: 1 }))).toMatchObject({ code: 'DATASET_TOO_LARGE' });
    // A small file may unpack to a large one.
    const bomb = gzipSync(`a\n${'1\n'.repeat(20_000)}`);
    expect(await refusal(ingestFiles({ 'a.csv.gz': bomb }, {}, { maxBytes: 100_000 }))).toMatchObject({ code: 'DATASET_TOO_LARGE' });
    const many = `a\n${Array.from({ length: 101 }, (_row, index) => `x${index}\n`.repeat(3)).join('')}`;
    expect((await ingestFiles({ 'a.csv': many })).description.columns[0]).toMatchObject({ type: 'text' });
    expect(await refusal(ingestFiles({ 'a.csv': many }, { types: { a: 'category' } }))).toMatchObject({
      code: 'INVALID_DATASET',
      message: '"a" has more than the 100 different texts that a category may have.',
    });
  });
});
