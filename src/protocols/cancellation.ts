import type { Cancellation } from '../scheduler/types.ts';

export interface Cancelling extends Cancellation {
  abort(): void;
}

/** What stands for the end of a client's interest. It does what is needed of an AbortController, at a fraction of its cost. */
export function createCancellation(): Cancelling {
  const listeners: (() => void)[] = [];
  const cancellation = {
    aborted: false,
    addEventListener: (_type: 'abort', listener: () => void) => void listeners.push(listener),
    removeEventListener(_type: 'abort', listener: () => void) {
      const index = listeners.indexOf(listener);
      if (index !== -1) listeners.splice(index, 1);
    },
    abort() {
      cancellation.aborted = true;
      for (const listener of listeners.splice(0)) listener();
    },
  };
  return cancellation;
}
