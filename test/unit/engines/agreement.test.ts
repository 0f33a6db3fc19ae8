import { describe, expect, it } from 'vitest';
import { differenceOf, variedInputs } from '../../../src/engines/agreement.ts';
import { encodeFp16 } from '../../../src/tensor/float16.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';

const fp32 = (...data: number[]): Tensor => ({ dtype: 'FP32', shape: [data.length], data: Float32Array.from(data) });
const int64 = (...data: bigint[]): Tensor => ({ dtype: 'INT64', shape: [data.length], data: BigInt64Array.from(data) });

describe('the answers of two engines', () => {
  it('differ by their largest distance, of large numbers by the ratio', () => {
    expect(differenceOf(fp32(1, 200), fp32(1.5, 201))).toBe(0.5);
    expect(differenceOf(fp32(Number.NaN), fp32(Number.NaN))).toBe(0);
    expect(differenceOf(fp32(1), fp32(Number.NaN))).toBe(Infinity);
    const half = (value: number): Tensor => ({ dtype: 'FP16', shape: [1], data: encodeFp16([value]) });
    expect(differenceOf(half(1), half(1.5))).toBe(0.5);
  });

  it('are the same classes and tokens, or others', () => {
    expect(differenceOf(int64(3n, 7n), int64(3n, 7n))).toBe(0);
    expect(differenceOf(int64(3n, 7n), int64(3n, 8n))).toBe(Infinity);
  });

  it('of another length or type are others', () => {
    expect(differenceOf(fp32(1), fp32(1, 2))).toBe(Infinity);
    expect(differenceOf(fp32(1), int64(1n))).toBe(Infinity);
  });

  it('are asked for with numbers that are not all the same, whatever type they have', () => {
    const spec = (dtype: 'INT64' | 'INT32' | 'BOOL' | 'FP32') => ({ name: dtype, dtype, shape: [-1, 64] });
    const inputs = [spec('INT64'), spec('INT32'), spec('BOOL'), spec('FP32')];
    for (const each of variedInputs({ inputs, outputs: [] }, 2)) {
      for (const { dtype, data } of each.values()) {
        const values = new Set([...(data as Iterable<number | bigint>)].map(Number));
        expect(values.size, dtype).toBeGreaterThan(1);
        if (dtype !== 'FP32') expect([...values].toSorted((one, other) => one - other)).toEqual([0, 1]);
      }
    }
  });
});
