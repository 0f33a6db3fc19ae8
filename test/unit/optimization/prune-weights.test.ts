import { describe, expect, it } from 'vitest';
import { applyMasks, gradualShare, magnitudeMasks } from '../../../src/optimization/pruning/prune-weights.ts';
import { floats } from '../../../src/compiler/graph/tensors.ts';

const WEIGHTS = new Map([
  ['a/kernel', floats([2, 2], [0.1, -4, 3, -0.2])],
  ['a/bias', floats([2], [0, 0.001])],
  ['b/kernel', floats([2, 3], [-10, 20, 30, 40, -50, 60])],
]);

function pruned(options: Parameters<typeof magnitudeMasks>[1]): Record<string, number[]> {
  return Object.fromEntries(
    [...applyMasks(WEIGHTS, magnitudeMasks(WEIGHTS, options))].map(([name, { data }]) => [name, [...(data as Float32Array)]]),
  );
}

describe('pruning of weights', () => {
  it('makes the smallest of each tensor 0 and leaves biases alone', () => {
    expect(pruned({ share: 0.5, scope: 'layer' })).toEqual({
      'a/kernel': [0, -4, 3, 0],
      'a/bias': [0, Math.fround(0.001)],
      'b/kernel': [0, 0, 0, 40, -50, 60],
    });
  });

  it('makes the smallest of all together 0', () => {
    expect(pruned({ share: 0.5, scope: 'global' })).toMatchObject({ 'a/kernel': [0, 0, 0, 0], 'b/kernel': [0, 20, 30, 40, -50, 60] });
    expect(pruned({ share: 0, scope: 'global' })['b/kernel']).toEqual([-10, 20, 30, 40, -50, 60]);
    expect(pruned({ share: 1, scope: 'layer' })['b/kernel']).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('comes to its share by and by, faster at first', () => {
    expect(gradualShare(0.8, 0)).toBe(0);
    expect(gradualShare(0.8, 0.5)).toBeCloseTo(0.7, 12);
    expect(gradualShare(0.8, 1)).toBe(0.8);
    expect(gradualShare(0.8, 2)).toBe(0.8);
  });
});
