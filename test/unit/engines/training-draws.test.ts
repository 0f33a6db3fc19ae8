import { describe, expect, it } from 'vitest';
import { type Distribution, drawSeed, fillDraw } from '../../../src/engines/training/draws.ts';

const KEPT: Distribution = { kind: 'kept', rate: 0.3, value: 2 };
const NORMAL: Distribution = { kind: 'normal', mean: 1, deviation: 0.5 };
const COUNT = 100_000;

function drawn(distribution: Distribution, seed: number, draw = 0, from = 0, count = COUNT): Float32Array {
  const numbers = new Float32Array(count);
  fillDraw(numbers, distribution, seed, draw, from);
  return numbers;
}

const mean = (numbers: Float32Array): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

describe('what layers draw in training', () => {
  it('has the shares, the mean and the deviation that are asked for', () => {
    const kept = drawn(KEPT, drawSeed(1, 1, 'dropout'));
    expect(new Set(kept)).toEqual(new Set([0, 2]));
    // Five standard errors, and some.
    expect(mean(kept)).toBeCloseTo(1.4, 1);
    const normal = drawn(NORMAL, drawSeed(1, 1, 'noise'));
    expect(mean(normal)).toBeCloseTo(1, 1);
    expect(Math.sqrt(mean(normal.map((value) => (value - 1) ** 2)))).toBeCloseTo(0.5, 1);
  });

  it.each([KEPT, NORMAL])('is the same for a part as in the whole: %o', (distribution) => {
    const whole = drawn(distribution, 7, 2);
    expect(drawn(distribution, 7, 2, 40_000, 1_000)).toEqual(whole.subarray(40_000, 41_000));
  });

  it('is unlike for another seed, step, layer or draw, also when shifted', () => {
    const seeds = [drawSeed(1, 1, 'a'), drawSeed(2, 1, 'a'), drawSeed(1, 2, 'a'), drawSeed(1, 1, 'b')];
    const all = [...seeds.map((seed) => drawn(KEPT, seed, 0, 0, 4_096)), drawn(KEPT, seeds[0]!, 1, 0, 4_096)];
    const [first, ...others] = all.map((numbers) => Buffer.from(numbers));
    for (const other of others) expect(other.indexOf(first!.subarray(0, 512))).toBe(-1);
    // Two independent ones agree in 0.7² + 0.3² of their places.
    for (const other of all.slice(1)) {
      const same = other.filter((value, at) => value === all[0]![at]).length / other.length;
      expect(same).toBeGreaterThan(0.5);
      expect(same).toBeLessThan(0.66);
    }
  });
});
