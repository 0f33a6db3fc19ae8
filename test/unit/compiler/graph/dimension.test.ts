import { describe, expect, it } from 'vitest';
import {
  broadcast,
  elementsOf,
  formatDimensions,
  plus,
  quotient,
  sum,
  symbolOf,
  windowsAlong,
} from '../../../../src/compiler/graph/dimension.ts';

describe('products of sizes', () => {
  it('are written one way, so that equal ones are equal texts', () => {
    expect(elementsOf([2, 'tokens', 3, 'batch'])).toBe('6*batch*tokens');
    expect(elementsOf(['batch', 6, 'tokens'])).toBe('6*batch*tokens');
    expect(elementsOf([elementsOf(['tokens', 2]), elementsOf(['batch', 3])])).toBe('6*batch*tokens');
    expect(elementsOf([])).toBe(1);
    expect(elementsOf([2, 3])).toBe(6);
    expect(elementsOf(['batch', 1])).toBe('batch');
    expect(elementsOf(['batch', 0])).toBe(0);
  });

  it('keep a sum as one factor, even when a product is in it', () => {
    expect(elementsOf([2, plus('3*batch', 1)])).toBe('2*(3*batch+1)');
    expect(quotient([elementsOf([2, plus('3*batch', 1)])], [plus('3*batch', 1)])).toBe(2);
  });

  it('are divided by what they hold and by nothing else', () => {
    expect(quotient(['batch', 4, 5], ['batch'])).toBe(20);
    expect(quotient(['batch', 'tokens', 8], [2, 'tokens'])).toBe('4*batch');
    expect(quotient(['batch', 5], [2])).toBeUndefined();
    expect(quotient(['batch', 4], ['tokens'])).toBeUndefined();
  });
});

describe('sums of sizes', () => {
  it('keep symbols and add up numbers', () => {
    expect(sum([1, 2])).toBe(3);
    expect(sum(['tokens', 2, -2])).toBe('tokens');
    expect(sum(['a', 1, 'b'])).toBe('((a+b)+1)');
    expect(sum(['batch', 'batch', '3*batch'])).toBe('5*batch');
    expect(sum(['b', '2*a*b', 'b'])).toBe('(2*b+2*a*b)');
    expect(plus('tokens', -2)).toBe('(tokens-2)');
  });
});

describe('windows', () => {
  it('are counted as a convolution does', () => {
    expect(windowsAlong(28, { extent: 5, stride: 1, padding: [0, 0] })).toBe(24);
    expect(windowsAlong(7, { extent: 3, stride: 2, padding: [0, 0] })).toBe(3);
    expect(windowsAlong(8, { extent: 3, stride: 2, padding: [0, 0] })).toBe(3);
    expect(windowsAlong(8, { extent: 3, stride: 2, padding: [0, 0], ceil: true })).toBe(4);
    expect(windowsAlong(7, { extent: 3, stride: 2, padding: 'same' })).toBe(4);
  });

  it('leave a symbol as it is when nothing changes it', () => {
    expect(windowsAlong('width', { extent: 3, stride: 1, padding: [1, 1] })).toBe('width');
    expect(windowsAlong('width', { extent: 3, stride: 1, padding: 'same' })).toBe('width');
    expect(windowsAlong('width', { extent: 3, stride: 1, padding: [0, 0] })).toBe('(width-2)');
    expect(windowsAlong('width', { extent: 2, stride: 2, padding: [0, 0] })).toBe('(floor((width-2)/2)+1)');
  });
});

describe('broadcast', () => {
  it('aligns at the last axis', () => {
    expect(broadcast([['batch', 3, 1], [4]])).toEqual(['batch', 3, 4]);
    expect(broadcast([[], [2]])).toEqual([2]);
    expect(
      broadcast([
        ['batch', 1],
        ['batch', 1, 1],
      ]),
    ).toEqual(['batch', 'batch', 1]);
  });

  it('refuses sizes that differ, and takes a symbol for the size that it meets', () => {
    expect(broadcast([[2], [3]])).toBeUndefined();
    expect(broadcast([['tokens'], [3]])).toEqual([3]);
    expect(broadcast([['tokens'], ['words']])).toEqual(['tokens']);
  });
});

it('makes symbols of names that hold other characters', () => {
  expect(symbolOf('in*put (1)')).toBe('in_put__1_');
  expect(symbolOf('1st')).toBe('_1st');
  expect(formatDimensions(['batch', 2])).toBe('[batch, 2]');
});
