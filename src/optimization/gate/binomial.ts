/** Logarithms of factorials, made as they are asked for. */
const LOG_FACTORIALS = [0];

function logFactorial(count: number): number {
  for (let next = LOG_FACTORIALS.length; next <= count; next += 1) LOG_FACTORIALS.push(LOG_FACTORIALS[next - 1]! + Math.log(next));
  return LOG_FACTORIALS[count]!;
}

/**
 * Two-sided exact test of a fair coin: how likely a result at least as uneven as `heads` of `tosses` is by chance. 1 for no
 * tosses.
 */
export function fairCoinPValue(heads: number, tosses: number): number {
  const fewer = Math.min(heads, tosses - heads);
  let tail = 0;
  for (let count = 0; count <= fewer; count += 1) {
    tail += Math.exp(logFactorial(tosses) - logFactorial(count) - logFactorial(tosses - count) - tosses * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}
