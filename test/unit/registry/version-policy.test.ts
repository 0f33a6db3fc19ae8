import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retirable, selectVersions } from '../../../src/registry/version-policy.ts';

describe('selectVersions', () => {
  it('takes the latest N, by number and not by name', () => {
    expect([...selectVersions({ latest: 2 }, [], [9, 10, 2]).selected]).toEqual([10, 9]);
    expect([...selectVersions({ latest: 5 }, [], [1]).selected]).toEqual([1]);
    expect([...selectVersions({ latest: 1 }, [], []).selected]).toEqual([]);
  });

  it('takes all', () => {
    expect([...selectVersions('all', [], [3, 1]).selected]).toEqual([3, 1]);
  });

  it('takes the listed ones that are there and counts those that are not', () => {
    const selection = selectVersions({ versions: [1, 3, 3, 7, 7] }, [], [1, 2, 3]);
    expect([...selection.selected]).toEqual([1, 3]);
    expect(selection.missing).toBe(1);
  });

  it('wants labelled versions too, without selecting them, if they are there', () => {
    const selection = selectVersions({ latest: 1 }, [1, 9], [1, 2, 3]);
    expect([...selection.selected]).toEqual([3]);
    expect([...selection.wanted]).toEqual([3, 1]);
  });
});

describe('retirable', () => {
  it('keeps the highest living version for each selected one that is not ready', () => {
    const serving = [
      { version: 1, alive: true },
      { version: 2, alive: true },
      { version: 3, alive: false },
    ];
    expect(retirable(serving, 0)).toEqual([1, 2, 3]);
    expect(retirable(serving, 1)).toEqual([1, 3]);
    expect(retirable(serving, 2)).toEqual([3]);
  });

  it('never leaves fewer living versions than there are gaps, if there were enough', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ version: fc.integer({ min: 1 }), alive: fc.boolean() }), { selector: (each) => each.version }),
        fc.nat(5),
        (serving, gaps) => {
          const gone = new Set(retirable(serving, gaps));
          const left = serving.filter((each) => !gone.has(each.version));
          const alive = serving.filter((each) => each.alive).length;
          expect(left).toHaveLength(Math.min(alive, gaps));
          expect(left.every((each) => each.alive)).toBe(true);
        },
      ),
    );
  });
});
