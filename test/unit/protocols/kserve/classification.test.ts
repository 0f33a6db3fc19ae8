import { describe, expect, it } from 'vitest';
import { classifyOutput, labelsOf } from '../../../../src/protocols/kserve/classification.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { bytes, fp32, int64 } from '../../../helpers/tensors.ts';

function classes(
  tensor: Tensor,
  count: number,
  batched = false,
  labels?: readonly string[],
): { shape: readonly number[]; texts: string[] } {
  const { dtype, shape, data } = classifyOutput(tensor, { output: 'y', count, batched, labels });
  expect(dtype).toBe('BYTES');
  return { shape, texts: (data as readonly Uint8Array[]).map((each) => Buffer.from(each).toString()) };
}

describe('classification of an output', () => {
  it('gives the highest values with their indexes and labels, as the protocol’s example', () => {
    const values = fp32([1, 5, 10, 4], [4]);
    expect(classes(values, 2)).toEqual({ shape: [2], texts: ['10:2', '5:1'] });
    expect(classes(values, 2, false, ['w', 'pickle', 'apple', 'z'])).toEqual({ shape: [2], texts: ['10:2:apple', '5:1:pickle'] });
    expect(classes(values, 9).shape).toEqual([4]);
  });

  it('gives them for each example of a batch', () => {
    expect(classes(fp32([0.1, 0.9, 0.75, 0.25], [2, 2]), 1, true, ['a', 'b'])).toEqual({ shape: [2, 1], texts: ['0.9:1:b', '0.75:0:a'] });
    expect(classes(fp32([1, 2, 3, 4], [1, 2, 2]), 1, true)).toEqual({ shape: [1, 1], texts: ['4:3'] });
    expect(classes(fp32([], [0, 3]), 2, true)).toEqual({ shape: [0, 0], texts: [] });
    expect(classes(fp32([], [3, 0]), 2, true)).toEqual({ shape: [3, 0], texts: [] });
  });

  it('keeps equal values in order, puts NaN last, and compares 64-bit integers exactly', () => {
    expect(classes(fp32([1, NaN, 2, 2, -Infinity]), 5).texts).toEqual(['2:2', '2:3', '1:0', '-Infinity:4', 'NaN:1']);
    expect(classes(int64([2n ** 53n, 2n ** 53n + 1n]), 2).texts).toEqual(['9007199254740993:1', '9007199254740992:0']);
    expect(classes({ dtype: 'FP16', shape: [2], data: Uint16Array.of(0x3c00, 0x4000) }, 1).texts).toEqual(['2:1']);
  });

  it('is refused for text and for more values than are sorted in good time', () => {
    expect(() => classes(bytes(['a']), 1)).toThrow('"y" can\'t be given as a classification: it is BYTES');
    expect(() => classes(fp32(Array.from({ length: 300_001 }, () => 0)), 1)).toThrow('300001 values');
  });

  it('takes labels from the manifest for the output that it speaks of', () => {
    const declared = { labels: ['a', 'b'], scores: 'probabilities' as const, top: 3 };
    expect(labelsOf('y', 'y', declared)).toEqual(['a', 'b']);
    expect(labelsOf('z', 'y', declared)).toBeUndefined();
    expect(labelsOf('z', 'y', { ...declared, output: 'z' })).toEqual(['a', 'b']);
    expect(labelsOf('y', 'y', undefined)).toBeUndefined();
    expect(labelsOf('y', 'y', { ...declared, of: 'token' })).toBeUndefined();
  });
});
