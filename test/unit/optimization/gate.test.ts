import { describe, expect, it } from 'vitest';
import { comparePaired } from '../../../src/optimization/gate/paired-accuracy.ts';
import { comparePairedLatency } from '../../../src/optimization/gate/paired-latency.ts';
import { paretoFront, scoreOf } from '../../../src/optimization/gate/pareto.ts';
import { type Limits, type Measured, refusals } from '../../../src/optimization/gate/verdict.ts';

/** Classes of two models over 1,000 rows of class 0: `onlyParent` rows only the parent gets right, `onlyVariant` the other. */
function classesOf(onlyParent: number, onlyVariant: number, bothWrong = 20) {
  const labels = Array(1_000).fill(0) as number[];
  const parent = labels.map((_label, row) => (row < onlyVariant + bothWrong ? 1 : 0));
  const variant = labels.map((_label, row) => (row >= 1_000 - onlyParent || (row >= onlyVariant && row < onlyVariant + bothWrong) ? 1 : 0));
  return comparePaired(parent, variant, labels);
}

describe('the paired comparison of accuracies', () => {
  it('is McNemar’s exact test', () => {
    const compared = classesOf(9, 1);
    expect(compared).toMatchObject({ onlyParentRight: 9, onlyVariantRight: 1, agreement: 0.99 });
    expect(compared.parentAccuracy).toBeCloseTo(0.979, 12);
    expect(compared.accuracy).toBeCloseTo(0.971, 12);
    expect(compared.accuracyDrop).toBeCloseTo(0.008, 12);
    // 2 (1 + 10) / 1024
    expect(compared.pValue).toBeCloseTo(22 / 1_024, 10);
    expect(classesOf(5, 5).pValue).toBe(1);
    expect(classesOf(0, 0).pValue).toBe(1);
    // 2 Σ C(500, i) / 2⁵⁰⁰ for i up to 190, in whole numbers.
    expect(classesOf(310, 190).pValue / 8.962_859_009_9e-8).toBeCloseTo(1, 8);
  });

  it('bounds the drop, the more narrowly the fewer rows differ', () => {
    const { accuracyDropUpper95: few } = classesOf(2, 2);
    const { accuracyDropUpper95: many } = classesOf(100, 100);
    expect(few).toBeGreaterThan(0);
    expect(few).toBeLessThan(0.006);
    expect(many).toBeGreaterThan(0.02);
    expect(many).toBeLessThan(0.03);
  });
});

describe('the paired comparison of times', () => {
  it('takes the ratio round by round, so a machine that slows down half-way changes nothing', () => {
    const rounds = Array.from({ length: 20 }, (_round, index) => ({ parentMs: index < 10 ? 2 : 20, ms: index < 10 ? 1 : 10 }));
    expect(comparePairedLatency(rounds)).toEqual({ parentMs: 11, ms: 5.5, speedup: 2, pValue: 2 / 2 ** 20 });
  });

  it('finds nothing between equals', () => {
    const rounds = Array.from({ length: 20 }, (_round, index) => ({ parentMs: index % 2, ms: (index + 1) % 2 }));
    expect(comparePairedLatency(rounds).pValue).toBe(1);
  });
});

const LIMITS: Limits = { accuracyDrop: 0.01, sure: false, latencyMs: undefined, sizeBytes: undefined, slowdown: 1.05 };
const SAME = { parentMs: 1, ms: 1, speedup: 1, pValue: 1 };
const GOOD: Measured = {
  parentSizeBytes: 1_000,
  sizeBytes: 250,
  parentCompressedBytes: 900,
  compressedBytes: 900,
  accuracy: classesOf(3, 1),
  latencies: [
    { batch: 1, ...SAME },
    { batch: 32, ...SAME },
  ],
};

describe('the gate', () => {
  const slower = { batch: 32, parentMs: 1, ms: 1.3, speedup: 1 / 1.3, pValue: 0.0001 };
  const faster = { batch: 1, parentMs: 1, ms: 0.5, speedup: 2, pValue: 0.0001 };

  it('takes what is smaller or faster and keeps to its limits', () => {
    expect(refusals(GOOD, LIMITS)).toEqual([]);
    expect(refusals({ ...GOOD, sizeBytes: 1_200, latencies: [faster] }, LIMITS)).toEqual([]);
    // Not by more than chance explains.
    expect(refusals({ ...GOOD, latencies: [{ ...slower, pValue: 0.3 }] }, LIMITS)).toEqual([]);
  });

  it.each<[string, Partial<Measured>, Partial<Limits>, RegExp]>([
    [
      'worse',
      { accuracy: classesOf(15, 1) },
      {},
      /^worse: the accuracy drops by 1\.40 points; 1\.00 points are allowed .*alone is right on 15 rows.*on 1; p = 0\.0005/,
    ],
    ['not surely good', { accuracy: classesOf(8, 1) }, { sure: true }, /^not surely good enough: .* less than 1\.\d\d points/],
    [
      'slower',
      { latencies: [GOOD.latencies[0]!, slower] },
      {},
      /^slower: a batch of 32 takes 1\.30 times as long as by the parent \(1\.30 ms and 1\.00 ms\); 1\.05 is allowed$/,
    ],
    ['over a bound of time', {}, { latencyMs: 0.5 }, /^too slow: a batch of 1 takes 1\.00 ms; 0\.5 ms are allowed$/],
    ['over a bound of size', {}, { sizeBytes: 200 }, /^too large: the files have 250 bytes; 200 are allowed$/],
    [
      'no better',
      { sizeBytes: 1_000 },
      {},
      /^of no use: neither smaller than the parent \(1000 and 1000 bytes, 900 and 900 compressed\) nor faster$/,
    ],
  ])('turns down what is %s, and says why', (_what, measured, limits, reason) => {
    const reasons = refusals({ ...GOOD, ...measured }, { ...LIMITS, ...limits });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatch(reason);
  });

  it('takes what is only smaller once it is compressed', () => {
    expect(refusals({ ...GOOD, sizeBytes: 1_000, compressedBytes: 450 }, LIMITS)).toEqual([]);
  });

  it('takes a drop of just the limit', () => {
    expect(refusals({ ...GOOD, accuracy: classesOf(10, 0) }, LIMITS)).toEqual([]);
    expect(refusals({ ...GOOD, accuracy: classesOf(11, 0) }, LIMITS)).toHaveLength(1);
  });
});

describe('the Pareto front', () => {
  const parent = { sizeBytes: 1_000, speedup: 1, accuracy: 0.99 };
  const small = { sizeBytes: 250, speedup: 1, accuracy: 0.98 };
  const fast = { sizeBytes: 500, speedup: 2, accuracy: 0.97 };
  const beaten = { sizeBytes: 500, speedup: 1, accuracy: 0.97 };

  it('holds what nothing beats in everything', () => {
    expect(paretoFront([parent, small, fast, beaten])).toEqual([true, true, true, false]);
    expect(paretoFront([parent, parent])).toEqual([true, true]);
  });

  it('is chosen from by the objective', () => {
    const best = (objective: Parameters<typeof scoreOf>[1]) =>
      [parent, small, fast, beaten].toSorted((one, other) => scoreOf(other, objective) - scoreOf(one, objective))[0];
    expect(best('size')).toBe(small);
    expect(best('speed')).toBe(fast);
    // 2 / 500 and 1 / 250 are equal; the first of equals stays.
    expect(best('balanced')).toBe(small);
  });
});
