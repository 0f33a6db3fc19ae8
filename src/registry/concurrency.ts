/** Lets at most a number of holders in at once; the others wait in order. */
export interface Semaphore {
  /** Resolves with the function that gives the place back; calling it twice does nothing more. */
  acquire(): Promise<() => void>;
}

export function createSemaphore(limit: number): Semaphore {
  const waiting: (() => void)[] = [];
  let held = 0;

  function release(): void {
    const next = waiting.shift();
    if (next === undefined) held -= 1;
    else next(); // the place goes straight to the next one
  }

  function place(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      release();
    };
  }

  return {
    acquire() {
      if (held < limit) {
        held += 1;
        return Promise.resolve(place());
      }
      return new Promise((resolve) => waiting.push(() => resolve(place())));
    },
  };
}

/** Runs tasks one after the other, in the order they came. A task that fails does not stop the next. */
export interface Mutex {
  /** True when no task runs or waits. */
  readonly idle: boolean;
  run<T>(task: () => Promise<T>): Promise<T>;
}

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  let pending = 0;

  return {
    get idle() {
      return pending === 0;
    },
    run<T>(task: () => Promise<T>): Promise<T> {
      pending += 1;
      const result = last.then(task).finally(() => {
        pending -= 1;
      });
      last = result.catch(() => undefined);
      return result;
    },
  };
}
