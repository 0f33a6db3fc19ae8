import { SlipwayError } from '../errors/slipway-error.ts';

export interface QueueOptions {
  /** Requests that may wait; one more is refused with QUEUE_FULL. */
  readonly maxDepth: number;
  /** Requests that may be with the runner at once. More than one hides the way to the runner and back. */
  readonly concurrency: number;
}

export interface Submission {
  /** Moment by which the answer must be there, on the `performance.now()` clock. */
  readonly deadline: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal | undefined;
}

export interface Completion<T> {
  readonly value: T;
  /** Time between submission and start, in milliseconds. */
  readonly queueMs: number;
}

/** The bounded first-in, first-out queue in front of one runner. */
export interface Queue {
  readonly depth: number;
  /**
   * Runs `task` when its turn comes. A request that expires or is aborted while it waits never reaches the runner; one
   * that expires while it runs is answered at once, and its result is dropped.
   * @throws SlipwayError QUEUE_FULL, DEADLINE_EXCEEDED, REQUEST_CANCELLED, and what `task` throws.
   */
  submit<T>(task: () => Promise<T>, submission: Submission): Promise<Completion<T>>;
}

interface Entry {
  start(): void;
}

/** Time over which a full queue is assumed to make room when nothing was measured yet, in milliseconds. */
const UNMEASURED_RETRY_MS = 1_000;

export function createQueue(options: QueueOptions): Queue {
  const { maxDepth, concurrency } = options;
  const waiting = new Set<Entry>(); // a Set keeps the order of insertion and removes from the middle in O(1)
  let running = 0;
  /** Smoothed time of one task, for Retry-After. */
  let taskMs = Number.NaN;

  function finished(startedAt: number): void {
    running -= 1;
    const tookMs = performance.now() - startedAt;
    taskMs = Number.isNaN(taskMs) ? tookMs : taskMs + 0.1 * (tookMs - taskMs);
    for (const next of waiting) {
      waiting.delete(next);
      next.start();
      break;
    }
  }

  function retryAfterMs(): number {
    return Number.isNaN(taskMs) ? UNMEASURED_RETRY_MS : Math.ceil((waiting.size * taskMs) / concurrency);
  }

  return {
    get depth() {
      return waiting.size;
    },
    submit<T>(task: () => Promise<T>, { deadline, signal }: Submission): Promise<Completion<T>> {
      if (running >= concurrency && waiting.size >= maxDepth) {
        const error = new SlipwayError('QUEUE_FULL', `The queue of this model is full (${maxDepth} requests wait).`, {
          retryAfterMs: retryAfterMs(),
        });
        return Promise.reject(error);
      }
      return new Promise((resolve, reject) => {
        const submittedAt = performance.now();
        let settled = false;

        const settle = (act: () => void): void => {
          if (settled) return;
          settled = true;
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          act();
        };
        const giveUp = (error: SlipwayError): void => {
          waiting.delete(entry);
          settle(() => reject(error));
        };
        const onAbort = (): void => giveUp(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.'));

        const entry: Entry = {
          start() {
            running += 1;
            const startedAt = performance.now();
            task().then(
              (value) => {
                finished(startedAt);
                settle(() => resolve({ value, queueMs: startedAt - submittedAt }));
              },
              (error: unknown) => {
                finished(startedAt);
                settle(() => reject(error));
              },
            );
          },
        };

        const timer = setTimeout(
          () => giveUp(new SlipwayError('DEADLINE_EXCEEDED', 'The request was not answered within its time.')),
          Math.max(0, deadline - submittedAt),
        );
        if (signal?.aborted) return onAbort();
        signal?.addEventListener('abort', onAbort, { once: true });

        if (running < concurrency) entry.start();
        else waiting.add(entry);
      });
    },
  };
}
