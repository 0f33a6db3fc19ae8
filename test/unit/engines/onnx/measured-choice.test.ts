import { expect, it } from 'vitest';
import { measuredChoice } from '../../../../src/engines/onnx/measured-choice.ts';

/** Works with what is chosen, at a cost for each by how often it was chosen before. @returns what was chosen */
function work(options: readonly number[], costOf: (option: number, before: number) => number, times: number): number[] {
  const choice = measuredChoice(options);
  const used = new Map<number, number>();
  return Array.from({ length: times }, () => {
    const { now } = choice;
    const before = used.get(now) ?? 0;
    used.set(now, before + 1);
    choice.tell(costOf(now, before));
    return now;
  });
}

it('tries each in turn, then stays with the one that cost least', () => {
  const used = work([4, 2, 1], (option) => ({ 4: 9, 2: 5, 1: 7 })[option]!, 100);
  expect(used.slice(0, 6)).toEqual([4, 2, 1, 4, 2, 1]);
  expect(new Set(used.slice(15))).toEqual(new Set([2]));
});

it('counts neither the first time, which warms up, nor what disturbed others', () => {
  const costs: Readonly<Record<number, readonly number[]>> = { 2: [1, 8, 8, 8, 8], 1: [30, 20, 6, 20, 20] };
  expect(new Set(work([2, 1], (option, before) => costs[option]!.at(before) ?? 9, 50).slice(10))).toEqual(new Set([1]));
});

it('tries anew after a while, for what paid may pay no longer', () => {
  // Two are the faster ones until they have worked 500 times.
  const used = work([2, 1], (option, before) => (option === 1 ? 5 : before < 500 ? 3 : 8), 1_100);
  expect(new Set(used.slice(10, 1_000))).toEqual(new Set([2]));
  expect(new Set(used.slice(1_020))).toEqual(new Set([1]));
});

it('has nothing to try where there is no choice', () => {
  expect(new Set(work([1], () => 1, 2_000))).toEqual(new Set([1]));
});
