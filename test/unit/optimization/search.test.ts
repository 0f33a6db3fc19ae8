import { describe, expect, it } from 'vitest';
import { type Candidate, createSearch } from '../../../src/optimization/search/search.ts';

const PRUNE_HALF: Candidate = { key: 'half', stage: 10, group: 'prune' };
const PRUNE_MOST: Candidate = { key: 'most', stage: 10, group: 'prune' };
const CLUSTER: Candidate = { key: 'cluster', stage: 20, group: 'cluster' };
const INT8: Candidate = { key: 'int8', stage: 30, group: 'form' };
const FLOAT16: Candidate = { key: 'float16', stage: 30, group: 'form' };

/** What is tried, when each candidate has a gain of its own; without one it is no good. */
function tried(candidates: readonly Candidate[], gains: Readonly<Record<string, number>>, bad: readonly string[] = []): string[] {
  const search = createSearch(candidates);
  const all: string[] = [];
  for (let combination = search.next(); combination !== undefined; combination = search.next()) {
    const key = combination.map((each) => each.key).join('+');
    all.push(key);
    const isGood = !bad.includes(key) && combination.every((each) => each.key in gains);
    search.tell(combination, { gain: isGood ? combination.reduce((sum, each) => sum + gains[each.key]!, 0) : undefined });
  }
  return all;
}

describe('the search over combinations', () => {
  it('tries each alone, then together in their order, one of a group, the most promising first', () => {
    expect(tried([PRUNE_HALF, CLUSTER, INT8, FLOAT16], { half: 1, cluster: 0.5, int8: 2, float16: 0.1 })).toEqual([
      'half',
      'cluster',
      'int8',
      'float16',
      'half+int8',
      'cluster+int8',
      'half+cluster',
      'half+float16',
      'cluster+float16',
      'half+cluster+int8',
      'half+cluster+float16',
    ]);
  });

  it('builds on nothing that was no good, alone or together', () => {
    expect(tried([PRUNE_HALF, PRUNE_MOST, CLUSTER, INT8], { half: 1, cluster: 1, int8: 1 }, ['half+cluster'])).toEqual([
      'half',
      'most',
      'cluster',
      'int8',
      'half+cluster',
      'half+int8',
      'cluster+int8',
    ]);
  });

  it('says what is left when it is given up', () => {
    const search = createSearch([PRUNE_HALF, INT8, FLOAT16]);
    expect(search.next()).toEqual([PRUNE_HALF]);
    expect(search.left()).toEqual([[INT8], [FLOAT16]]);
  });
});
