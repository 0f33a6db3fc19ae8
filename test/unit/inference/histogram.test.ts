import { describe, expect, it } from 'vitest';
import { createHistogram } from '../../../src/inference/histogram.ts';

describe('a histogram of durations', () => {
  it('tells quantiles to a tenth, and counts what is out of its range', () => {
    const histogram = createHistogram();
    expect(histogram.quantileMs(0.5)).toBeUndefined();
    for (let ms = 1; ms <= 1_000; ms += 1) histogram.observe(ms);
    for (const [q, exact] of [
      [0.5, 500],
      [0.99, 990],
      [1, 1_000],
    ] as const) {
      const estimate = histogram.quantileMs(q)!;
      expect(estimate).toBeGreaterThanOrEqual(exact);
      expect(estimate).toBeLessThan(exact * 1.1);
    }
    histogram.observe(0);
    histogram.observe(-1);
    histogram.observe(1e9);
    expect(histogram.count).toBe(1_003);
  });

  it('counts cumulatively up to powers of two, their ends included', () => {
    const histogram = createHistogram();
    for (const us of [1, 64, 65, 128, 1_000]) histogram.observe(us / 1_000);
    expect(histogram.octaves(6, 10)).toEqual([
      { leSeconds: 64 / 1e6, count: 2 },
      { leSeconds: 128 / 1e6, count: 4 },
      { leSeconds: 256 / 1e6, count: 4 },
      { leSeconds: 512 / 1e6, count: 4 },
      { leSeconds: 1_024 / 1e6, count: 5 },
    ]);
    expect(histogram.sumMs).toBeCloseTo(1.258);
  });
});
