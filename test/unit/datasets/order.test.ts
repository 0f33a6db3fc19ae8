import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPermutation } from '../../../src/datasets/permutation.ts';
import { apportion } from '../../../src/datasets/preparation/apportion.ts';
import { combineSeeds, createRandom, shuffled } from '../../../src/datasets/random.ts';

const ascending = (size: number): number[] => Array.from({ length: size }, (_value, index) => index);

describe('createPermutation', () => {
  it('gives each index a place of its own, the same for the same seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.integer(), (size, seed) => {
        const places = ascending(size).map(createPermutation(size, seed));
        expect(places.toSorted((a, b) => a - b)).toEqual(ascending(size));
        expect(ascending(size).map(createPermutation(size, seed))).toEqual(places);
      }),
      { numRuns: 60 },
    );
  });

  it('differs between seeds and is no order that one would see', () => {
    const size = 1_000;
    const [one, other] = [1, 2].map((seed) => ascending(size).map(createPermutation(size, seed)));
    expect(one).not.toEqual(other);
    // Of a random order about half of the neighbours ascend; 400 to 600 is six standard deviations and more.
    const rises = one!.filter((place, index) => place > (one![index - 1] ?? -1)).length;
    expect(rises).toBeGreaterThan(400);
    expect(rises).toBeLessThan(600);
  });
});

describe('shuffled', () => {
  it('is a permutation, the same for the same seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), fc.integer(), (size, seed) => {
        const order = shuffled(size, createRandom(seed));
        expect([...order].toSorted((a, b) => a - b)).toEqual(ascending(size));
        expect(shuffled(size, createRandom(seed))).toEqual(order);
      }),
    );
  });

  it('tells seeds from one another, made of which numbers they may be', () => {
    const seeds = [combineSeeds(0, 0), combineSeeds(0, 1), combineSeeds(1, 0), combineSeeds(1, 1), combineSeeds(0), combineSeeds(0, 0, 0)];
    expect(new Set(seeds).size).toBe(seeds.length);
  });
});

describe('apportion', () => {
  it('takes the share of all, and of each group its share but for the rounding', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        (counts, share) => {
          const taken = apportion(counts, share);
          const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
          expect(sum(taken)).toBe(Math.round(sum(counts) * share));
          for (const [index, count] of counts.entries()) {
            expect(taken[index]).toBeLessThanOrEqual(count);
            expect(Math.abs(taken[index]! - count * share)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });

  it('leaves a group its last member while others can give', () => {
    expect(apportion([1, 1, 8], 0.2)).toEqual([0, 0, 2]);
  });
});
