/**
 * A seeded generator of numbers in [0, 1): the 32-bit xorshift of G. Marsaglia (Xorshift RNGs, 2003). The same seed
 * gives the same numbers everywhere, which is all that is asked of it.
 */
export function createRandom(seed: number): () => number {
  // Zero is the one state that xorshift never leaves.
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

/** Puts the first `count` elements into random order, in place (Fisher and Yates). */
export function shuffle(values: Uint32Array, count: number, random: () => number): void {
  for (let index = count - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const value = values[index]!;
    values[index] = values[other]!;
    values[other] = value;
  }
}

/** The numbers 0 … count − 1 in random order. */
export function shuffled(count: number, random: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_value, index) => index);
  shuffle(order, count, random);
  return order;
}

/** The finalizer of MurmurHash3 (A. Appleby, public domain): every bit of the input reaches every bit of the output. */
export function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A seed made of several numbers, such as a seed and an epoch: near ones give unlike seeds. */
export function combineSeeds(...seeds: readonly number[]): number {
  return seeds.reduce((state, seed) => mix(state ^ mix(seed + 0x9e3779b9)), 0);
}
