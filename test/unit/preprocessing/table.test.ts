import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { preprocessTable, type TableRow } from '../../../src/preprocessing/table.ts';
import { preprocessing } from '../../helpers/preprocessing.ts';

const table = preprocessing({
  kind: 'table',
  columns: [
    { kind: 'number', name: 'alcohol', mean: 13, std: 2, missing: 12 },
    { kind: 'category', name: 'colour', categories: ['red', 'white'] },
    { kind: 'boolean', name: 'dry' },
    { kind: 'category', name: 'year', categories: ['1999', '2001'], unknown: 'ignore', missing: 'ignore' },
    { kind: 'vector', name: 'tastes', shape: [2, 2], std: 10 },
  ],
});

const row = {
  alcohol: 14,
  colour: 'white',
  dry: true,
  year: 1999,
  tastes: [
    [1, 2],
    [3, 4],
  ],
};

function problemsOf(rows: readonly TableRow[]): string[] {
  try {
    preprocessTable(rows, table);
  } catch (error) {
    expect(error).toBeInstanceOf(SlipwayError);
    expect(error).toMatchObject({ code: 'INVALID_ROW' });
    return (error as SlipwayError).details.map(({ path, message }) => `${path} ${message}`);
  }
  return [];
}

describe('preprocessTable', () => {
  it('makes one row of the tensor of each row of the table', () => {
    const { dtype, shape, data } = preprocessTable([row, { ...row, alcohol: null, dry: 0, year: 2024 }], table);
    expect({ dtype, shape }).toEqual({ dtype: 'FP32', shape: [2, 10] });
    expect(data).toEqual(Float32Array.from([0.5, 0, 1, 1, 1, 0, 0.1, 0.2, 0.3, 0.4, -0.5, 0, 1, 0, 0, 0, 0.1, 0.2, 0.3, 0.4]));
  });

  it('keeps the shape of a vector that is the only column', () => {
    const vector = preprocessing({ kind: 'table', columns: [{ kind: 'vector', name: 'x', shape: [2, 1], mean: 1 }] });
    expect(preprocessTable([{ x: [[3], [4]] }], vector)).toMatchObject({ shape: [1, 2, 1], data: Float32Array.of(2, 3) });
  });

  it('says of each value what is wrong with it', () => {
    const { colour: _colour, ...withoutColour } = row;
    expect(problemsOf([row, withoutColour])).toEqual(['inputs[1].colour is missing']);
    expect(problemsOf([{ ...row, colour: 'rosé' }])).toEqual([
      'inputs[0].colour is "rosé", which is none of its categories: "red", "white"',
    ]);
    expect(problemsOf([{ ...row, alcohol: '14', dry: 2 }])).toEqual([
      'inputs[0].alcohol must be a number, not "14"',
      'inputs[0].dry must be a boolean, not 2',
    ]);
    expect(problemsOf([{ ...row, dry: null }])).toEqual(['inputs[0].dry is missing']);
    expect(problemsOf([{ ...row, tastes: [[1, 2], [3]] }])).toEqual(['inputs[0].tastes must be numbers in the shape [2, 2]']);
    expect(problemsOf([{ ...row, colour: { is: 'red' } }])).toEqual(['inputs[0].colour must be a text, not {"is":"red"}']);
    expect(problemsOf([{ ...row, alcohol: 2n ** 70n }])).toEqual([`inputs[0].alcohol must be a number, not ${2n ** 70n}`]);
    expect(problemsOf([{ ...row, price: 3 }])[0]).toContain('inputs[0].price is no column of the model, which has "alcohol", "colour"');
    // A column is the row's own, not what every object has.
    expect(problemsOf([JSON.parse('{"__proto__":1}') as TableRow])).toContain('inputs[0].colour is missing');
  });

  it('does not list thousands of problems', () => {
    expect(problemsOf(Array.from({ length: 1_000 }, () => ({}))).length).toBeLessThanOrEqual(20);
  });
});
