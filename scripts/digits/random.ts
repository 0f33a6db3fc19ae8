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

/** The numbers 0 … count − 1 in random order (Fisher and Yates). */
export function shuffled(count: number, random: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_value, index) => index);
  for (let index = count - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  return order;
}
