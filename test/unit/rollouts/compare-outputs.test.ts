import { describe, expect, it } from 'vitest';
import { compareOutputs } from '../../../src/rollouts/compare-outputs.ts';
import { encodeFp16 } from '../../../src/tensor/float16.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';

const fp32 = (...data: number[]): Tensor => ({ dtype: 'FP32', shape: [1, data.length], data: Float32Array.from(data) });
const compared = (one: Tensor, other: Tensor, classification?: { labels: string[]; scores: 'probabilities'; top: number }) =>
  compareOutputs(new Map([['y', one]]), new Map([['y', other]]), { tolerance: 0.01, classification });

describe('the answers of two versions', () => {
  it('agree within the tolerance, which grows with the number', () => {
    expect(compared(fp32(1, 100), fp32(1.0099, 100.9))).toMatchObject({ agrees: true });
    expect(compared(fp32(1, 100), fp32(1.02, 100))).toMatchObject({ agrees: false });
    expect(compared(fp32(1, 2), fp32(1, 2.5)).difference).toBe(0.5);
  });

  it('agree where there is no number in both, and do not where there is one', () => {
    expect(compared(fp32(Number.NaN, Infinity), fp32(Number.NaN, Infinity))).toEqual({ agrees: true, difference: 0 });
    expect(compared(fp32(Number.NaN), fp32(1))).toEqual({ agrees: false, difference: Infinity });
    expect(compared(fp32(Infinity), fp32(5))).toEqual({ agrees: false, difference: Infinity });
    expect(compared(fp32(Infinity), fp32(-Infinity))).toEqual({ agrees: false, difference: Infinity });
  });

  it('of classifiers agree by their classes', () => {
    const classification = { labels: ['a', 'b'], scores: 'probabilities', top: 1 } as const;
    const labelled = { ...classification, labels: [...classification.labels] };
    expect(compared(fp32(0.9, 0.1), fp32(0.6, 0.4), labelled)).toMatchObject({ agrees: true });
    expect(compared(fp32(0.6, 0.4), fp32(0.4, 0.6), labelled)).toMatchObject({ agrees: false });
    expect(compared(fp32(0.6, 0.4), fp32(Number.NaN, 0.6), labelled)).toMatchObject({ agrees: false });
  });

  it('are compared as numbers, whatever holds them', () => {
    const half = (...values: number[]): Tensor => ({ dtype: 'FP16', shape: [values.length], data: encodeFp16(values) });
    expect(compared(half(1), half(1.0009765625))).toMatchObject({ agrees: true });
    expect(compared(half(1), half(2))).toEqual({ agrees: false, difference: 1 });
    const long = (...values: bigint[]): Tensor => ({ dtype: 'INT64', shape: [values.length], data: BigInt64Array.from(values) });
    expect(compared(long(5n), long(7n))).toEqual({ agrees: false, difference: 2 });
  });

  it('do not agree where shapes, types or outputs differ', () => {
    expect(compared(fp32(1, 2), fp32(1))).toEqual({ agrees: false, difference: Infinity });
    expect(compared(fp32(1), { ...fp32(1), shape: [1] })).toMatchObject({ agrees: false });
    expect(compareOutputs(new Map([['y', fp32(1)]]), new Map(), { tolerance: 1, classification: undefined }).agrees).toBe(false);
  });
});
