/**
 * Takes a share of each of several groups, so that the groups' parts stay near the share and the total is the share of
 * all, rounded: whole parts first, what is left by the largest remainders (Hamilton's method). A group never gives its
 * last member while another can give instead.
 * @param counts members of each group.
 * @returns how many of each group are taken.
 */
export function apportion(counts: readonly number[], share: number): number[] {
  const total = Math.round(counts.reduce((sum, count) => sum + count, 0) * share);
  const taken = counts.map((count) => Math.floor(count * share));
  const givesLast = (index: number): boolean => counts[index]! - taken[index]! < 2;
  const inTurn = counts
    .map((count, index) => ({ index, remainder: count * share - taken[index]! }))
    .toSorted((a, b) => Number(givesLast(a.index)) - Number(givesLast(b.index)) || b.remainder - a.remainder || a.index - b.index);
  let left = total - taken.reduce((sum, count) => sum + count, 0);
  for (const { index } of inTurn) {
    if (left <= 0 || counts[index] === taken[index]) continue;
    taken[index] = taken[index]! + 1;
    left -= 1;
  }
  return taken;
}
