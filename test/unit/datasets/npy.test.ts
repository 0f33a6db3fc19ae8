import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { readNpyHeader } from '../../../src/datasets/sources/npy.ts';
import { ingestFiles, readRecords } from '../../helpers/datasets.ts';

const fixture = (name: string): Promise<Buffer> => readFile(new URL(`../../fixtures/datasets/${name}`, import.meta.url));

/** An .npy file (numpy.lib.format). */
function npyOf(descr: string, shape: readonly number[], data: Uint8Array, { version = 1, fortran = false } = {}): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dictionary = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${tuple}, }`;
  const start = version === 1 ? 10 : 12;
  const padded = dictionary.padEnd(Math.ceil((start + dictionary.length + 1) / 64) * 64 - start - 1) + '\n';
  const head = Buffer.alloc(start);
  head.write('\u0093NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(padded.length, 8);
  else head.writeUInt32LE(padded.length, 8);
  return Buffer.concat([head, Buffer.from(padded, 'latin1'), data]);
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'nothing was refused',
    (error: Error & { code: string }) => `${error.code} ${error.message}`,
  );
}

describe('reading arrays of NumPy', () => {
  it('reads every kind of element that NumPy writes', async () => {
    const { folder, description } = await ingestFiles({ 'kinds.npz': await fixture('kinds.npz') });
    expect(description).toMatchObject({ format: 'npz', rows: 2 });
    expect(description.columns).toHaveLength(14);
    expect(description.columns.every(({ type, shape }) => type === 'vector' && shape?.join() === '3')).toBe(true);
    const truths = [
      [0, 1, 1],
      [1, 1, 1],
    ];
    const numbers = [
      [0, 1, 2],
      [3, 4, 5],
    ];
    const rows = await readRecords(folder);
    for (const [index, row] of rows.entries()) expect(row).toEqual([truths[index], ...Array.from({ length: 13 }, () => numbers[index])]);
  });

  it('takes names such as x_train and y_test as splits, and bytes in two dimensions as images', async () => {
    const { folder, description } = await ingestFiles({ 'splits.npz': await fixture('splits.npz') });
    expect(description).toMatchObject({
      rows: 5,
      splitColumn: 'split',
      columns: [
        { name: 'x', type: 'image', shape: [2, 2, 1] },
        { name: 'y', type: 'integer' },
        { name: 'split', type: 'category' },
      ],
    });
    expect((await readRecords(folder))[3]).toEqual([[100, 101, 102, 103], 1, 'test']);
    const preparation = await openDataset(folder).prepare({ target: 'y', split: { validation: 0 } });
    expect(preparation.rows).toEqual({ train: 3, validation: 0, test: 2 });
  });

  it('reads texts, and files side by side as columns', async () => {
    const { folder, description } = await ingestFiles({
      'names.npy': await fixture('names.npy'),
      'size.npy': npyOf('<f8', [3], new Uint8Array(new Float64Array([1, 2, Number.NaN]).buffer)),
    });
    expect(description).toMatchObject({
      format: 'npy',
      columns: [
        { name: 'names', type: 'category' },
        { name: 'size', missing: 1 },
      ],
    });
    expect(await readRecords(folder)).toEqual([
      ['kiwi', 1],
      ['plum', 2],
      ['öl', Number.NaN],
    ]);
  });

  it('understands headers of every version, shape and length', () => {
    const shapes = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(shapes, fc.constantFrom('|u1', '<i4', '>f8', '<f2', '|b1'), fc.constantFrom(1, 2, 3), (shape, descr, version) => {
        const file = npyOf(descr, shape, Buffer.from('data'), { version });
        const { rows, rowBytes, headerBytes } = readNpyHeader(file, 'x.npy');
        const size = Number(descr.slice(2));
        expect(rows).toBe(shape[0]);
        expect(rowBytes).toBe(shape.slice(1).reduce((product, each) => product * each, size));
        expect(file.subarray(headerBytes).toString()).toBe('data');
      }),
    );
  });

  it('refuses any other bytes with a reason', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, withMagic) => {
        const head = Buffer.concat([Buffer.from(withMagic ? '\u0093NUMPY\u0001\u0000' : '', 'latin1'), bytes]);
        expect(() => readNpyHeader(head, 'x.npy')).toThrow(expect.objectContaining({ code: 'INVALID_DATASET' }));
      }),
    );
  });

  it.each<[what: string, file: Buffer, message: RegExp]>([
    ['objects', npyOf('|O', [2], new Uint8Array(16)), /elements of the type '\|O'/],
    ['Fortran order', npyOf('<f4', [2, 2], new Uint8Array(16), { fortran: true }), /Fortran order/],
    ['data that is cut', npyOf('<f4', [2, 2], new Uint8Array(12)), /states 2 rows of 8 bytes but has only 12/],
    ['no rows', npyOf('<f4', [0, 2], new Uint8Array(0)), /no rows/],
    ['what is infinite', npyOf('<f8', [1], new Uint8Array(new Float64Array([Number.POSITIVE_INFINITY]).buffer)), /"x" is infinite/],
    ['what is not a number', npyOf('<f4', [1, 1], new Uint8Array(new Float32Array([Number.NaN]).buffer)), /NaN/],
  ])('refuses %s', async (_what, file, message) => {
    expect(await messageOf(ingestFiles({ 'x.npy': file }))).toMatch(message);
  });

  it('refuses arrays of unlike lengths', async () => {
    const files = { 'a.npy': npyOf('|u1', [2], new Uint8Array(2)), 'b.npy': npyOf('|u1', [3], new Uint8Array(3)) };
    expect(await messageOf(ingestFiles(files))).toBe('INVALID_DATASET a.npy has 2 rows and b.npy 3.');
  });
});
