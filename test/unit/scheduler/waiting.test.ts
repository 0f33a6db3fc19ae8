import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWaiting, type Waiter } from '../../../src/scheduler/waiting.ts';

interface Named extends Waiter {
  readonly name: string;
}

function waiter(name: string, client = '', priority = 5, size = 1): Named {
  return { name, client, priority, size, gone: false };
}

function takeAll(waiting: ReturnType<typeof createWaiting<Named>>, most = Infinity): string[] {
  let taken = 0;
  return waiting.take(() => (taken++ < most ? 'take' : 'stop'), 10_000).map(({ name }) => name);
}

describe('createWaiting', () => {
  it('gives one client’s requests of one priority in the order of their arrival', () => {
    const waiting = createWaiting<Named>();
    for (const name of ['a', 'b', 'c']) waiting.add(waiter(name));
    expect(waiting.count).toBe(3);
    expect(takeAll(waiting, 2)).toEqual(['a', 'b']);
    waiting.add(waiter('d'));
    expect(takeAll(waiting)).toEqual(['c', 'd']);
    expect(waiting.count).toBe(0);
    expect(waiting.size).toBe(0);
  });

  it('gives the clients turns', () => {
    const waiting = createWaiting<Named>();
    for (let index = 1; index <= 4; index += 1) waiting.add(waiter(`greedy-${index}`, 'greedy'));
    waiting.add(waiter('modest-1', 'modest'));
    waiting.add(waiter('modest-2', 'modest'));
    expect(takeAll(waiting, 3)).toEqual(['greedy-1', 'modest-1', 'greedy-2']);
    // Both had a turn in the last round, so the order between them is as before.
    expect(takeAll(waiting)).toEqual(['greedy-3', 'modest-2', 'greedy-4']);
  });

  it('gives a client that comes later its turn first when the others just had theirs', () => {
    const waiting = createWaiting<Named>();
    waiting.add(waiter('a1', 'a'));
    waiting.add(waiter('a2', 'a'));
    waiting.add(waiter('b1', 'b'));
    expect(takeAll(waiting, 1)).toEqual(['a1']);
    expect(takeAll(waiting, 1)).toEqual(['b1']);
  });

  it('gives lower priorities first', () => {
    const waiting = createWaiting<Named>();
    waiting.add(waiter('late', '', 9));
    waiting.add(waiter('normal'));
    waiting.add(waiter('urgent', 'x', 1));
    expect(waiting.peek()?.name).toBe('urgent');
    expect(takeAll(waiting)).toEqual(['urgent', 'normal', 'late']);
  });

  it('leaves where it is what is not chosen', () => {
    const waiting = createWaiting<Named>();
    for (const name of ['a', 'B', 'c', 'D', 'e']) waiting.add(waiter(name));
    const taken = waiting.take(({ name }) => (name === name.toLowerCase() ? 'take' : 'leave'), 100);
    expect(taken.map(({ name }) => name)).toEqual(['a', 'c', 'e']);
    expect(waiting.peek()?.name).toBe('B');
    expect(takeAll(waiting)).toEqual(['B', 'D']);
  });

  it('tells what comes before a request', () => {
    const waiting = createWaiting<Named>();
    for (let index = 0; index < 10; index += 1) waiting.add(waiter(`greedy-${index}`, 'greedy'));
    waiting.add(waiter('urgent', 'other', 1, 4));
    expect(waiting.sizeBefore(5, 'greedy')).toBe(14);
    expect(waiting.sizeBefore(9, 'anyone')).toBe(14);
    expect(waiting.sizeBefore(1, 'anyone')).toBe(4);
    waiting.add(waiter('modest', 'modest'));
    // Two of its own turns and as many of the greedy one's, after the urgent one.
    expect(waiting.sizeBefore(5, 'modest')).toBe(4 + 1 + 2);
  });

  it('gives up the last request of the greediest client in the lowest priority', () => {
    const waiting = createWaiting<Named>();
    for (const name of ['g1', 'g2', 'g3']) waiting.add(waiter(name, 'greedy'));
    waiting.add(waiter('m1', 'modest'));
    expect(waiting.leastDeserving(5, 'new')?.name).toBe('g3');
    expect(waiting.leastDeserving(5, 'greedy')).toBeUndefined();
    expect(waiting.leastDeserving(9, 'new')).toBeUndefined();
    expect(waiting.leastDeserving(1, 'greedy')?.name).toBe('g3');
    const even = createWaiting<Named>();
    even.add(waiter('a1', 'a'));
    expect(even.leastDeserving(5, 'b')).toBeUndefined();
  });

  it('loses and doubles nothing, whatever is added, taken and removed', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), client: fc.constantFrom('a', 'b', 'c'), priority: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constant('take' as const), most: fc.nat(5), skip: fc.nat(2) }),
      fc.record({ do: fc.constant('remove' as const), at: fc.nat(50) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const waiting = createWaiting<Named>();
        const model = new Set<Named>();
        let added = 0;
        for (const each of steps) {
          if (each.do === 'add') {
            const made = waiter(String(added++), each.client, each.priority, 1 + (added % 3));
            waiting.add(made);
            model.add(made);
          } else if (each.do === 'remove') {
            const victim = [...model][each.at];
            if (victim !== undefined) {
              waiting.remove(victim);
              model.delete(victim);
            }
          } else {
            const lowest = Math.min(...[...model].map(({ priority }) => priority));
            let looked = 0;
            let left = each.most;
            const taken = waiting.take(() => (left === 0 ? 'stop' : looked++ % (each.skip + 1) === 0 ? (left--, 'take') : 'leave'), 1_000);
            if (taken.length > 0) expect(taken[0]!.priority).toBe(lowest);
            for (const one of taken) expect(model.delete(one)).toBe(true);
            for (const client of ['a', 'b', 'c']) {
              const own = taken.filter((one) => one.client === client && one.priority === lowest).map(({ name }) => Number(name));
              expect(own).toEqual(own.toSorted((a, b) => a - b));
            }
          }
          expect(new Set(waiting)).toEqual(model);
          expect(waiting.count).toBe(model.size);
          expect(waiting.size).toBe([...model].reduce((sum, one) => sum + one.size, 0));
        }
      }),
    );
  });
});
