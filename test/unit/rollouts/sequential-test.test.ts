import { describe, expect, it } from 'vitest';
import { rolloutSchema } from '../../../src/packages/rollout.ts';
import { judge, NO_COUNTS, type RolloutCounts } from '../../../src/rollouts/judgement.ts';
import { confidenceInterval, differenceInterval, logGamma } from '../../../src/rollouts/sequential-test.ts';

/** Mulberry32 by T. Ettinger: numbers from 0 up to 1 that a seed decides. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('the confidence sequence', () => {
  it('takes the logarithm of the gamma function', () => {
    expect(logGamma(1)).toBeCloseTo(0, 12);
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 12);
    expect(logGamma(11)).toBeCloseTo(Math.log(3_628_800), 10);
    expect(logGamma(0.1)).toBeCloseTo(2.252712651734206, 12);
    expect(logGamma(1_000)).toBeCloseTo(5_905.220423209181, 8);
  });

  it('knows nothing of nothing, and of one request what the mixture says', () => {
    expect(confidenceInterval({ count: 0, total: 0 }, 0.05)).toEqual({ low: 0, high: 1 });
    // One request that did not fail: M(p) = B(½, 3⁄2) ⁄ (B(½, ½)·(1 − p)) = ½ ⁄ (1 − p), which is 20 at p = 1 − 1⁄40.
    const { low, high } = confidenceInterval({ count: 0, total: 1 }, 0.05);
    expect(low).toBe(0);
    expect(high).toBeCloseTo(1 - 1 / 40, 9);
    // Two of which one failed: M(p) = B(3⁄2, 3⁄2) ⁄ (B(½, ½)·p(1 − p)) = ⅛ ⁄ p(1 − p), which is 20 at p(1 − p) = 1⁄160.
    const two = confidenceInterval({ count: 1, total: 2 }, 0.05);
    const root = Math.sqrt(1 / 4 - 1 / 160);
    expect(two.low).toBeCloseTo(0.5 - root, 9);
    expect(two.high).toBeCloseTo(0.5 + root, 9);
  });

  it('closes in on what is seen, and is the other way round for the other outcome', () => {
    const few = confidenceInterval({ count: 10, total: 100 }, 0.05);
    const many = confidenceInterval({ count: 1_000, total: 10_000 }, 0.05);
    expect(many.low).toBeGreaterThan(few.low);
    expect(many.high).toBeLessThan(few.high);
    expect(many.low).toBeLessThan(0.1);
    expect(many.high).toBeGreaterThan(0.1);
    const others = confidenceInterval({ count: 90, total: 100 }, 0.05);
    expect(others.low).toBeCloseTo(1 - few.high, 9);
    const { low, high } = differenceInterval({ count: 10, total: 100 }, { count: 10, total: 100 }, 0.05);
    expect(low).toBeCloseTo(-high, 9);
  });

  it('misses the true share seldom enough, though it is looked at again and again', () => {
    const [share, errorRate, runs, requests] = [0.1, 0.2, 400, 1_000];
    const random = seeded(1);
    let misses = 0;
    for (let run = 0; run < runs; run += 1) {
      let count = 0;
      for (let total = 1; total <= requests; total += 1) {
        if (random() < share) count += 1;
        if (total % 20 !== 0) continue;
        const { low, high } = confidenceInterval({ count, total }, errorRate);
        if (share >= low && share <= high) continue;
        misses += 1;
        break;
      }
    }
    // At most 20 % of the runs; it is less, because it is not looked at without end.
    expect(misses / runs).toBeLessThan(errorRate);
    expect(misses).toBeGreaterThan(0);
  });
});

const terms = (more: object = {}) =>
  rolloutSchema.parse({ candidate: 2, baseline: 1, startedAt: '2026-11-24T12:00:00.000Z', weight: 0.5, ...more });

/** A rollout with these true shares, looked at after every 20 requests: how it ends, and after how many. */
function simulated(
  random: () => number,
  { failures, baseline, bound, most }: Record<'failures' | 'baseline' | 'bound' | 'most', number>,
): { readonly verdict: string; readonly requests: number } {
  const counts: Record<keyof RolloutCounts, number> = { ...NO_COUNTS };
  for (let requests = 1; requests <= most; requests += 1) {
    const arm = random() < 0.5 ? 'candidate' : 'baseline';
    counts[`${arm}Requests`] += 1;
    if (random() < (arm === 'candidate' ? failures : baseline)) counts[`${arm}Failures`] += 1;
    if (requests % 20 !== 0) continue;
    const { verdict } = judge(terms({ maxFailureIncrease: bound, errorRate: 0.1 }), counts);
    if (verdict !== 'open') return { verdict, requests };
  }
  return { verdict: 'open', requests: most };
}

describe('the judgement of a candidate', () => {
  it('says nothing of a candidate that gets no requests', () => {
    expect(judge(terms({ weight: 0 }), NO_COUNTS)).toEqual({ verdict: 'open', reason: 'the candidate gets no requests.', findings: [] });
  });

  it('promotes within every bound, rolls back beyond one, and waits as long as one is open', () => {
    const good = { ...NO_COUNTS, candidateRequests: 5_000, baselineRequests: 5_000, shadowRequests: 5_000 };
    expect(judge(terms({ shadow: 1 }), good)).toMatchObject({
      verdict: 'promote',
      findings: [
        { criterion: 'failures', finding: 'within', bound: 0.01 },
        { criterion: 'disagreement', finding: 'within', bound: 0.02 },
      ],
    });
    expect(judge(terms({ shadow: 1 }), { ...good, shadowRequests: 10 })).toMatchObject({ verdict: 'open' });
    expect(judge(terms({ shadow: 1 }), { ...good, disagreements: 500 })).toMatchObject({
      verdict: 'roll_back',
      reason: /^\d+\.\d\d % to \d+\.\d\d % of the shadow answers disagree, more than the bound of 2\.00 %\.$/,
    });
    expect(judge(terms(), { ...good, candidateFailures: 500 })).toMatchObject({ verdict: 'roll_back' });
    // A candidate that is not there fails, too.
    expect(judge(terms(), { ...good, unavailable: 1_000 })).toMatchObject({ verdict: 'roll_back' });
    // Both fail alike.
    expect(judge(terms(), { ...good, candidateFailures: 500, baselineFailures: 500 }).verdict).toBe('open');
  });

  it('is seldom wrong about a candidate at the bound, and soon right about one that is far from it', () => {
    const random = seeded(7);
    const runs = 60;
    const at = (failures: number, most: number) =>
      Array.from({ length: runs }, () => simulated(random, { failures, baseline: 0.02, bound: 0.1, most }));
    // 10 points above the baseline and a hair more: it must not be promoted.
    expect(at(0.1201, 2_000).filter(({ verdict }) => verdict === 'promote').length / runs).toBeLessThanOrEqual(0.1);
    // A hair less: it must not be rolled back.
    expect(at(0.1199, 2_000).filter(({ verdict }) => verdict === 'roll_back').length / runs).toBeLessThanOrEqual(0.1);
    const alike = at(0.02, 4_000);
    expect(alike.every(({ verdict }) => verdict === 'promote')).toBe(true);
    const bad = at(0.5, 4_000);
    expect(bad.every(({ verdict, requests }) => verdict === 'roll_back' && requests <= 400)).toBe(true);
  });
});
