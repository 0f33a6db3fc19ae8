/** Levenshtein's distance: the fewest letters to add, remove or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_cell, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The known name that is most like a mistaken one; the first of several equally near. */
export function nearestName(name: string, known: readonly [string, ...string[]]): string {
  return known.reduce((best, each) => (distance(name, each) < distance(name, best) ? each : best));
}
