import { describe, expect, it } from 'vitest';
import { companionOf, compareTrial } from '../../../src/scheduler/trial.ts';
import type { NamedTensors } from '../../../src/tensor/tensor.ts';
import { bytes, fp32, int64 } from '../../helpers/tensors.ts';

const named = (...values: number[]): NamedTensors => new Map([['y', fp32(values)]]);

describe('companionOf', () => {
  it('has the same elements in another order', () => {
    const companion = companionOf(
      new Map([
        ['x', fp32([1, 2, 3], [1, 3])],
        ['t', bytes(['a', 'a'], [1, 2])],
      ]),
    );
    expect(companion?.get('x')).toEqual(fp32([3, 2, 1], [1, 3]));
  });

  it('is not there for inputs that are their own mirror image', () => {
    expect(companionOf(new Map([['x', fp32([1, 2, 1])]]))).toBeUndefined();
    expect(companionOf(new Map([['x', fp32([7])]]))).toBeUndefined();
  });
});

describe('compareTrial', () => {
  it('finds answers that are the same to the bit', () => {
    expect(compareTrial(named(1, 2), named(1, 2, 8, 9, 1, 2), 2)).toEqual({ kind: 'exact' });
    const nan = named(Number.NaN);
    expect(compareTrial(nan, named(Number.NaN, 0, Number.NaN), 1)).toEqual({ kind: 'exact' });
  });

  it('finds answers that differ by rounding', () => {
    const agreement = compareTrial(named(1, 100), named(1, 100, 0, 0, 1.001, 100), 2);
    expect(agreement).toMatchObject({ kind: 'rounding' });
    expect(agreement.kind === 'rounding' && agreement.difference).toBeCloseTo(1e-5);
  });

  it('finds answers that depend on what ran beside them, before them or after', () => {
    expect(compareTrial(named(1, 2), named(1, 2, 8, 9, 1, 2.1), 2)).toMatchObject({ kind: 'none', reason: expect.stringContaining('"y"') });
    expect(compareTrial(named(1, 2), named(1.5, 2, 8, 9, 1, 2), 2)).toMatchObject({ kind: 'none' });
    expect(compareTrial(new Map([['y', int64([5n])]]), new Map([['y', int64([5n, 0n, 6n])]]), 1)).toMatchObject({ kind: 'none' });
    expect(compareTrial(named(1), named(1, 1, Number.NaN), 1)).toMatchObject({ kind: 'none' });
  });

  it('finds outputs that do not have the batch dimension', () => {
    expect(compareTrial(named(1), named(1), 1)).toMatchObject({ kind: 'none', reason: expect.stringContaining('a batch of 3') });
    expect(compareTrial(new Map([['y', fp32([1], [])]]), new Map([['y', fp32([1], [])]]), 1)).toMatchObject({ kind: 'none' });
  });
});
