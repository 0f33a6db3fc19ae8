import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCostLine } from '../../../src/scheduler/cost-line.ts';

describe('createCostLine', () => {
  it('finds the line that its measurements lie on', () => {
    const arbitrary = fc.tuple(
      fc.double({ min: 0, max: 10, noNaN: true }),
      fc.double({ min: 0.01, max: 5, noNaN: true }),
      fc.uniqueArray(fc.integer({ min: 1, max: 128 }), { minLength: 3, maxLength: 40 }),
    );
    fc.assert(
      fc.property(arbitrary, ([baseMs, perRowMs, sizes]) => {
        const costs = createCostLine();
        for (const rows of sizes) costs.add(rows, baseMs + perRowMs * rows);
        expect(costs.estimate(64)).toBeCloseTo(baseMs + perRowMs * 64, 3);
      }),
    );
  });

  it('forgets the first run, which warms the engine up', () => {
    const costs = createCostLine();
    costs.add(1, 300);
    expect(costs.estimate(1)).toBe(300);
    costs.add(1, 2);
    expect(costs.estimate(1)).toBe(2);
  });

  it('says how many rows fit into a time', () => {
    const costs = createCostLine();
    expect(costs.fit).toBeUndefined();
    expect(costs.rowsWithin(10, 64)).toBe(1);
    for (const rows of [1, 1, 2, 8, 32]) costs.add(rows, 1 + rows / 2);
    expect(costs.rowsWithin(10.25, 64)).toBe(18);
    expect(costs.rowsWithin(10, 16)).toBe(16);
    expect(costs.rowsWithin(0.1, 16)).toBe(1);
  });

  it('never falls and never starts below zero', () => {
    const measurements = fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 1_000, noNaN: true })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(measurements, (pairs) => {
        const costs = createCostLine();
        for (const [rows, ms] of pairs) costs.add(rows, ms);
        expect(costs.fit!.baseMs).toBeGreaterThanOrEqual(0);
        expect(costs.fit!.perRowMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
