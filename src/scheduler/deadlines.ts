/** What has a deadline; the rest is kept here for `Deadlines`. */
export interface Expiring {
  readonly deadline: number;
  /** Where it is in the list; -1 when it is not. */
  deadlineIndex: number;
}

export interface DeadlineOptions<T> {
  readonly now: () => number;
  /** Called for each item whose deadline has passed, once. */
  readonly onExpired: (item: T) => void;
}

/**
 * Deadlines of many short-lived items with one timer: a timer for each would cost as much as the rest of the queue. It is
 * set for the earliest deadline there has been since it last fired.
 *
 * The items are in an array and know their places. In a Map that items come into and leave all the time, V8 links each
 * table that it outgrows to the next one, and a dead one that has become old keeps alive what was in the others: that
 * made a fifth of a request's cost, all of it garbage collection.
 */
export interface Deadlines<T extends Expiring> {
  /** A deadline is on the clock of `now`; Infinity never comes. */
  add(item: T): void;
  remove(item: T): void;
}

/** Node's timers take no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createDeadlines<T extends Expiring>({ now, onExpired }: DeadlineOptions<T>): Deadlines<T> {
  const items: T[] = [];
  let timer: NodeJS.Timeout | undefined;
  let earliest = Infinity;

  function arm(deadline: number): void {
    earliest = deadline;
    clearTimeout(timer);
    timer = deadline === Infinity ? undefined : setTimeout(sweep, Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(deadline - now()))));
    // The requests keep the server alive by their connections; what they leave behind need not.
    timer?.unref();
  }

  function remove(item: T): void {
    const index = item.deadlineIndex;
    if (index === -1) return;
    item.deadlineIndex = -1;
    const last = items.pop()!;
    if (last === item) return;
    items[index] = last;
    last.deadlineIndex = index;
  }

  function sweep(): void {
    timer = undefined;
    const time = now();
    for (const item of items.filter(({ deadline }) => deadline <= time)) {
      remove(item);
      onExpired(item);
    }
    arm(items.reduce((next, { deadline }) => Math.min(next, deadline), Infinity));
  }

  return {
    add(item) {
      item.deadlineIndex = items.length;
      items.push(item);
      if (item.deadline < earliest) arm(item.deadline);
    },
    remove,
  };
}
