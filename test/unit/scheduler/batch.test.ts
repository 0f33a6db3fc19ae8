import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeBatchShape, splitObstacle, splitOutputs } from '../../../src/scheduler/batch.ts';
import type { DType } from '../../../src/tensor/dtype.ts';
import type { Signature } from '../../../src/tensor/signature.ts';
import { bytes, fp32 } from '../../helpers/tensors.ts';

function signature(inputs: Record<string, number[] | null>, outputs: Record<string, number[] | null> = { y: [-1] }): Signature {
  const specs = (shapes: Record<string, number[] | null>) =>
    Object.entries(shapes).map(([name, shape]) => ({ name, dtype: 'FP32' as DType, shape }));
  return { inputs: specs(inputs), outputs: specs(outputs) };
}

describe('describeBatchShape', () => {
  it('names what keeps a model’s requests apart', () => {
    expect(describeBatchShape(signature({ x: [-1, 3] })).obstacle).toBeUndefined();
    expect(describeBatchShape(signature({ x: [-1, 3] }, { y: null })).obstacle).toBeUndefined();
    expect(describeBatchShape(signature({ x: [1, 3] })).obstacle).toBe(
      'the first dimension of the input "x" does not vary: its shape is [1, 3]',
    );
    expect(describeBatchShape(signature({ x: [-1, 3] }, { y: [-1], z: [] })).obstacle).toBe(
      'the first dimension of the output "z" does not vary: its shape is []',
    );
    expect(describeBatchShape(signature({ x: null })).obstacle).toMatch(/input "x"/);
    expect(describeBatchShape(signature({})).obstacle).toMatch(/no inputs/);
  });

  it('counts the rows that inputs have in common', () => {
    const shape = describeBatchShape(signature({ a: [-1, 2], b: [-1] }));
    const rows = (a: number, b: number) =>
      shape.rowsOf(
        new Map([
          ['a', fp32(Array(2 * a).fill(0), [a, 2])],
          ['b', fp32(Array(b).fill(0))],
        ]),
      );
    expect(rows(3, 3)).toBe(3);
    expect(rows(3, 2)).toBe(0);
    expect(rows(0, 0)).toBe(0);
    expect(shape.rowsOf(new Map([['a', fp32([1], [])]]))).toBe(0);
  });

  it('tells requests apart by wanted outputs and by dimensions that vary', () => {
    const fixed = describeBatchShape(signature({ x: [-1, 2] }, { y: [-1], z: [-1] }));
    const x = new Map([['x', fp32([1, 2], [1, 2])]]);
    expect(fixed.keyOf(x, ['y', 'z'])).toBe(fixed.keyOf(x, ['z', 'y']));
    expect(fixed.keyOf(x, ['y'])).not.toBe(fixed.keyOf(x, ['z']));
    expect(fixed.unit).toBe('rows');
    const open = describeBatchShape(signature({ x: [-1, -1] }));
    const wide = (columns: number) => new Map([['x', fp32(Array(columns).fill(0), [1, columns])]]);
    expect(open.keyOf(wide(2), ['y'])).not.toBe(open.keyOf(wide(3), ['y']));
    expect(open.sizeOf(wide(3), 1)).toBe(3);
    expect(open.unit).toBe('elements');
  });
});

describe('splitOutputs', () => {
  it('gives each part its own rows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        (rows, width) => {
          const total = rows.reduce((sum, each) => sum + each, 0);
          const numbers = Array.from({ length: total * width }, (_, index) => index);
          const outputs = new Map([
            ['n', fp32(numbers, [total, width])],
            ['t', bytes(numbers.map(String), [total, width])],
          ]);
          expect(splitObstacle(outputs, total)).toBeUndefined();
          const parts = splitOutputs(outputs, rows);
          expect(parts.flatMap((part) => [...(part.get('n')!.data as Float32Array)])).toEqual(numbers);
          expect(parts.flatMap((part) => (part.get('t')!.data as Uint8Array[]).map((each) => Number(Buffer.from(each))))).toEqual(numbers);
          expect(parts.map((part) => part.get('n')!.shape)).toEqual(rows.map((each) => [each, width]));
        },
      ),
    );
  });

  it('is refused when an output does not have the rows of the batch', () => {
    expect(
      splitObstacle(
        new Map([
          ['y', fp32([1, 2])],
          ['s', fp32([1], [])],
        ]),
        2,
      ),
    ).toBe('a batch of 2 gave the output "s" the shape [], whose first dimension is not the batch\'s');
  });
});
