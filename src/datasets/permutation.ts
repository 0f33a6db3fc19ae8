import { combineSeeds, mix } from './random.ts';

const ROUNDS = 4;

/**
 * A random order of 0 … size − 1 that takes no memory: `permutation(i)` is the place of i, and no two have the same.
 * A Feistel network (M. Luby, C. Rackoff, 1988) permutes the smallest power of four that holds `size`; what falls
 * outside is sent through again until it falls inside, at most some four times on average.
 */
export function createPermutation(size: number, seed: number): (index: number) => number {
  let halfBits = 1;
  while (4 ** halfBits < size) halfBits += 1;
  const half = 2 ** halfBits;
  const keys = Array.from({ length: ROUNDS }, (_key, round) => combineSeeds(seed, round));
  return (index) => {
    let value = index;
    do {
      let left = Math.floor(value / half);
      let right = value % half;
      for (const key of keys) {
        const next = left ^ (mix(right ^ key) % half);
        left = right;
        right = next;
      }
      value = left * half + right;
    } while (value >= size);
    return value;
  };
}
