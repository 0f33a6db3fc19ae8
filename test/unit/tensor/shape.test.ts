import { describe, expect, it } from 'vitest';
import { elementCount, elementPath, formatShape } from '../../../src/tensor/shape.ts';

describe('elementCount', () => {
  it.each([
    [[], 1],
    [[3], 3],
    [[2, 3, 4], 24],
    [[5, 0], 0],
    [[2 ** 53 - 1], 2 ** 53 - 1],
    [[2 ** 40, 2 ** 40, 0], 0],
  ])('of %j is %d', (shape, count) => {
    expect(elementCount(shape, 'x')).toBe(count);
  });

  it.each([
    [[-1]],
    [[2, -3]],
    [[1.5]],
    [[Number.NaN]],
    [[Infinity]],
    [[2 ** 53]],
    [[2 ** 27, 2 ** 26]],
    [[...Array.from({ length: 100 }, () => 2 ** 52), 0]],
  ])('refuses %j', (shape) => {
    expect(() => elementCount(shape, 'inputs.x')).toThrow(
      expect.objectContaining({ code: 'INVALID_TENSOR', message: expect.stringMatching(/^inputs\.x: the shape \[/) as string }),
    );
  });
});

describe('formatShape and elementPath', () => {
  it('are written as users read them', () => {
    expect(formatShape([-1, 28, 28])).toBe('[-1, 28, 28]');
    expect(formatShape([])).toBe('[]');
    expect(formatShape(null)).toBe('[...]');
    expect(elementPath('inputs.image', [2, 3, 4], 23)).toBe('inputs.image[1][2][3]');
    expect(elementPath('inputs', [2, 3], 2)).toBe('inputs[0][2]');
    expect(elementPath('inputs', [], 0)).toBe('inputs');
  });
});
