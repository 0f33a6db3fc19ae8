export interface DeadlineOptions<T> {
  readonly now: () => number;
  /** Called for each item whose deadline has passed, once. */
  readonly onExpired: (item: T) => void;
}

/**
 * Deadlines of many short-lived items with one timer: a timer for each would cost as much as the rest of the queue. It is
 * set for the earliest deadline there has been since it last fired.
 */
export interface Deadlines<T> {
  /** @param deadline on the clock of `now`; Infinity never comes. */
  add(item: T, deadline: number): void;
  remove(item: T): void;
}

/** Node's timers take no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createDeadlines<T>({ now, onExpired }: DeadlineOptions<T>): Deadlines<T> {
  const items = new Map<T, number>();
  let timer: NodeJS.Timeout | undefined;
  let earliest = Infinity;

  function arm(deadline: number): void {
    earliest = deadline;
    clearTimeout(timer);
    timer = deadline === Infinity ? undefined : setTimeout(sweep, Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(deadline - now()))));
    // The requests keep the server alive by their connections; what they leave behind need not.
    timer?.unref();
  }

  function sweep(): void {
    timer = undefined;
    const time = now();
    let next = Infinity;
    for (const [item, deadline] of items) {
      if (deadline <= time) {
        items.delete(item);
        onExpired(item);
      } else if (deadline < next) next = deadline;
    }
    arm(next);
  }

  return {
    add(item, deadline) {
      items.set(item, deadline);
      if (deadline < earliest) arm(deadline);
    },
    remove(item) {
      items.delete(item);
    },
  };
}
