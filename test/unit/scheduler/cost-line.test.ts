import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCostLine } from '../../../src/scheduler/cost-line.ts';

describe('createCostLine', () => {
  it('finds the line that runs of different sizes lie on', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 10, noNaN: true }),
        fc.double({ min: 0.001, max: 100, noNaN: true }),
        fc.uniqueArray(fc.integer({ min: 0, max: 10 }), { minLength: 2, maxLength: 8 }),
        (perUnit, fixed, powers) => {
          const line = createCostLine(() => 0);
          for (const power of powers) line.observe(2 ** power, perUnit * 2 ** power + fixed);
          expect(line.fitted).toBe(true);
          expect(line.perUnitMs / perUnit).toBeCloseTo(1, 5);
          expect(line.predict(100) / (100 * perUnit + fixed)).toBeCloseTo(1, 5);
        },
      ),
    );
  });

  it('says nothing before the first run, and after runs of one size takes the cost to grow with the size', () => {
    const line = createCostLine(() => 0);
    expect(line.predict(1)).toBeNaN();
    line.observe(4, 8);
    line.observe(4, 8);
    expect(line.fitted).toBe(false);
    expect(line.predict(8)).toBe(16);
    expect(line.largest).toBe(4);
  });

  it('is not led astray by one run that met something else', () => {
    const line = createCostLine(() => 0);
    for (let run = 0; run < 50; run += 1) for (const size of [1, 8, 64]) line.observe(size, size + 10);
    line.observe(8, 10_000);
    expect(line.predict(8)).toBeLessThan(30);
  });

  it('follows a model that has become slower', () => {
    let time = 0;
    const line = createCostLine(() => time);
    for (let run = 0; run < 50; run += 1) for (const size of [1, 8, 64]) line.observe(size, size + 10);
    for (let run = 0; run < 100; run += 1) {
      time += 1_000;
      for (const size of [2, 16]) line.observe(size, 3 * (size + 10));
    }
    expect(line.predict(16) / (3 * 26)).toBeCloseTo(1, 1);
  });

  it('never predicts that more work takes less time, nor a negative one', () => {
    const line = createCostLine(() => 0);
    line.observe(1, 10);
    line.observe(64, 1);
    expect(line.perUnitMs).toBeGreaterThanOrEqual(0);
    const other = createCostLine(() => 0);
    other.observe(1, 1);
    other.observe(64, 1_000);
    expect(other.predict(0)).toBeGreaterThanOrEqual(0);
  });

  it('knows the sizes for a time and for an efficiency', () => {
    const line = createCostLine(() => 0);
    for (const size of [1, 100]) line.observe(size, 2 * size + 10);
    expect(line.sizeWithin(50)).toBeCloseTo(20);
    expect(line.sizeWithin(1)).toBe(0);
    // At 95 units, 190 of 200 ms are work.
    expect(line.sizeAtEfficiency(0.05)).toBeCloseTo(95);
  });
});
