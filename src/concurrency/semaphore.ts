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
