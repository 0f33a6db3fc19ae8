import { SlipwayError } from '../errors/slipway-error.ts';
import type { RunnerLoad } from './load.ts';
import type { SchedulerSettings } from './types.ts';
import type { Waiter, Waiting } from './waiting.ts';

export interface AdmissionOptions<T extends Waiter> {
  readonly waiting: Waiting<T>;
  readonly load: RunnerLoad;
  readonly targetSize: () => number;
  readonly settings: () => SchedulerSettings;
  readonly now: () => number;
}

export interface Applicant {
  readonly priority: number;
  readonly client: string;
  readonly size: number;
  readonly deadline: number;
}

/** Whether a request is let in; with `instead`, another one has to go for it. */
export type Verdict<T> =
  | { readonly error: SlipwayError; readonly instead?: undefined }
  | { readonly error?: undefined; readonly instead: T | undefined };

/** Decides which requests may wait: a queue that only grows answers nobody in time. */
export interface Admission<T extends Waiter> {
  admit(applicant: Applicant): Verdict<T>;
  /** What a request is told that has to go because the queue is full. */
  full(waiter: Pick<Waiter, 'priority' | 'client'>): SlipwayError;
  /** Predicted wait of a request that came now, in milliseconds. */
  predictedWaitMs(): number;
  readonly refused: { readonly queueFull: number; readonly unreachable: number };
}

/** So many times its predicted time a request must have: when all that is let in comes at the last moment, half of it is late. */
const CAUTION = 1.5;
/** What a client is told to wait at the least, in milliseconds. */
const LEAST_RETRY_MS = 1;
const ADMITTED = { instead: undefined } as const;

export function createAdmission<T extends Waiter>({ waiting, load, targetSize, settings, now }: AdmissionOptions<T>): Admission<T> {
  const refused = { queueFull: 0, unreachable: 0 };

  function waitOf(sizeBefore: number): number {
    return load.remainingMs() + load.workOff(sizeBefore, targetSize());
  }

  function refuse(code: 'QUEUE_FULL' | 'DEADLINE_UNREACHABLE', message: string, retryAfterMs: number): SlipwayError {
    if (code === 'QUEUE_FULL') refused.queueFull += 1;
    else refused.unreachable += 1;
    return new SlipwayError(code, message, { retryAfterMs: Math.max(LEAST_RETRY_MS, Math.ceil(retryAfterMs)) });
  }

  function full({ priority, client }: Pick<Waiter, 'priority' | 'client'>): SlipwayError {
    const { maxQueueDepth } = settings();
    return refuse(
      'QUEUE_FULL',
      `The queue of this model is full: ${maxQueueDepth} requests wait.`,
      waitOf(waiting.sizeBefore(priority, client)),
    );
  }

  return {
    refused,
    full,
    predictedWaitMs: () => waitOf(waiting.size),
    admit({ priority, client, size, deadline }) {
      // Nobody is refused on a guess while the runner has nothing to do: that is how a wrong guess is mended.
      if (waiting.count === 0 && load.runs === 0) return ADMITTED;
      const { maxQueueDepth, maxQueueMs } = settings();
      const before = waiting.sizeBefore(priority, client);
      const waitMs = waitOf(before);
      if (waitMs > maxQueueMs) {
        const message = `The queue of this model is full: the wait would be ${Math.ceil(waitMs)} ms, and ${maxQueueMs} ms are allowed.`;
        return { error: refuse('QUEUE_FULL', message, waitMs - maxQueueMs) };
      }
      const runMs = load.predict(size);
      const answerAt = now() + CAUTION * (waitMs + (Number.isNaN(runMs) ? 0 : runMs));
      if (answerAt > deadline) {
        const message = `The queue of this model is so long that the answer would come ${Math.ceil(answerAt - deadline)} ms too late.`;
        return { error: refuse('DEADLINE_UNREACHABLE', message, answerAt - deadline) };
      }
      if (waiting.count < maxQueueDepth) return ADMITTED;
      const instead = waiting.leastDeserving(priority, client);
      return instead === undefined ? { error: full({ priority, client }) } : { instead };
    },
  };
}
