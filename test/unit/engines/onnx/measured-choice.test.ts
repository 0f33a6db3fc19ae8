import { expect, it } from 'vitest';
import { measuredChoice } from '../../../../src/engines/onnx/measured-choice.ts';

/** Works with what is chosen, at a cost for each. @returns what was chosen */
function work(costs: ReadonlyMap<number, readonly number[]>, times: number): number[] {
  const choice = measuredChoice([...costs.keys()]);
  const used = new Map<number, number>();
  return Array.from({ length: times }, () => {
    const { now } = choice;
    const before = used.get(now) ?? 0;
    used.set(now, before + 1);
    choice.tell(costs.get(now)!.at(Math.min(before, costs.get(now)!.length - 1))!);
    return now;
  });
}

it('tries each in turn, then stays with the one that cost least', () => {
  const costs = new Map([
    [4, [9]],
    [2, [5]],
    [1, [7]],
  ]);
  expect(work(costs, 16)).toEqual([4, 2, 1, 4, 2, 1, 4, 2, 1, 4, 2, 1, 2, 2, 2, 2]);
});

it('counts neither the first time, which warms up, nor what disturbed the others', () => {
  const costs = new Map([
    [2, [1, 8, 8, 8]],
    [1, [30, 20, 6, 20]],
  ]);
  expect(work(costs, 12).slice(8)).toEqual([1, 1, 1, 1]);
});

it('stays as it is once it has chosen, and has nothing to try where there is no choice', () => {
  const costs = new Map([
    [2, [1, 1, 1, 1, 50]],
    [1, [3]],
  ]);
  expect(work(costs, 14).slice(8)).toEqual([2, 2, 2, 2, 2, 2]);
  expect(work(new Map([[1, [5]]]), 3)).toEqual([1, 1, 1]);
});
