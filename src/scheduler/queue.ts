import { SlipwayError } from '../errors/slipway-error.ts';

export interface QueueOptions {
  /** Requests that may wait; one more is refused with QUEUE_FULL. */
  readonly maxDepth: number;
  /** Most requests that go to the runner together. */
  readonly maxAhead: number;
  /** The clock, in milliseconds; `performance.now` unless a test has its own. */
  readonly now?: () => number;
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

/**
 * The bounded first-in, first-out queue in front of one runner. While the runner works, requests gather; when it has
 * answered, all of them go to it at once, no more than AHEAD_MS of work. To wake another process costs more than to
 * parse a request, so a busy server does it once for many; a request that meets an idle runner never waits.
 */
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

/** What was sent to the runner can't be taken back, so only about this much work is sent ahead, in milliseconds. */
const AHEAD_MS = 5;

/** Time over which a full queue is assumed to make room when nothing was measured yet, in milliseconds. */
const UNMEASURED_RETRY_MS = 1_000;

export function createQueue({ maxDepth, maxAhead, now = () => performance.now() }: QueueOptions): Queue {
  const waiting = new Set<Entry>(); // a Set keeps the order of insertion and removes from the middle in O(1)
  let running = 0;
  let groupSize = 0;
  let groupStartedAt = 0;
  /** Smoothed time of one task in milliseconds, from its start to its end, shared by those that went together. */
  let taskMs = Number.NaN;

  function startGroup(): void {
    const limit = Number.isNaN(taskMs) ? 1 : Math.min(maxAhead, Math.max(1, Math.floor(AHEAD_MS / taskMs)));
    groupSize = 0;
    groupStartedAt = now();
    for (const next of waiting) {
      waiting.delete(next);
      groupSize += 1;
      running += 1;
      next.start();
      if (groupSize >= limit) return;
    }
  }

  function finished(): void {
    running -= 1;
    if (running > 0) return;
    const tookMs = (now() - groupStartedAt) / groupSize;
    taskMs = Number.isNaN(taskMs) ? tookMs : taskMs + 0.1 * (tookMs - taskMs);
    startGroup();
  }

  function retryAfterMs(): number {
    return Number.isNaN(taskMs) ? UNMEASURED_RETRY_MS : Math.ceil(waiting.size * taskMs);
  }

  return {
    get depth() {
      return waiting.size;
    },
    submit<T>(task: () => Promise<T>, { deadline, signal }: Submission): Promise<Completion<T>> {
      if (running > 0 && waiting.size >= maxDepth) {
        const error = new SlipwayError('QUEUE_FULL', `The queue of this model is full (${maxDepth} requests wait).`, {
          retryAfterMs: retryAfterMs(),
        });
        return Promise.reject(error);
      }
      return new Promise((resolve, reject) => {
        const submittedAt = now();
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
            const startedAt = now();
            task().then(
              (value) => {
                finished();
                settle(() => resolve({ value, queueMs: startedAt - submittedAt }));
              },
              (error: unknown) => {
                finished();
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

        waiting.add(entry);
        if (running === 0) startGroup();
      });
    },
  };
}
