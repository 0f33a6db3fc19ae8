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
