import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestDouble, productError } from '../../../src/tensor/nearest-double.ts';

describe('nearestDouble', () => {
  it('rounds as Number does, or says that it can not tell', () => {
    const high = fc.bigInt(2n ** 53n, 2n ** 83n).map(Number);
    let told = 0;
    let asked = 0;
    fc.assert(
      fc.property(
        high,
        fc.double({ min: -0.499, max: 0.499, noNaN: true }),
        fc.integer({ min: -22, max: 22 }),
        (value, share, exponent) => {
          const ulp = 2 ** (Math.floor(Math.log2(value)) - 52);
          const low = Math.trunc(share * ulp);
          if (value + low !== value) return;
          asked += 1;
          const found = nearestDouble(value, low, exponent);
          if (Number.isNaN(found)) return;
          told += 1;
          expect(found).toBe(Number(`${BigInt(value) + BigInt(low)}e${exponent}`));
        },
      ),
      { numRuns: 10_000 },
    );
    expect(told / asked).toBeGreaterThan(0.99);
  });

  it('can not tell at the middle of two doubles, or with a large exponent', () => {
    expect(nearestDouble(2 ** 53, 1, 0)).toBeNaN();
    // 4503599627370496.5 has 2^52 and its successor on both sides.
    const high = Number(45_035_996_273_704_965n);
    expect(nearestDouble(high, Number(45_035_996_273_704_965n - BigInt(high)), -1)).toBeNaN();
    expect(nearestDouble(1, 0, 23)).toBeNaN();
    expect(nearestDouble(1, 0, -23)).toBeNaN();
    expect(nearestDouble(0, 0, 999)).toBe(0);
    expect(nearestDouble(15, 0, -1)).toBe(1.5);
  });
});

describe('productError', () => {
  it('is what the product lost', () => {
    const integer = fc.maxSafeInteger();
    fc.assert(
      fc.property(integer, integer, (a, b) => {
        expect(BigInt(a * b) + BigInt(productError(a, b, a * b))).toBe(BigInt(a) * BigInt(b));
      }),
    );
  });
});
