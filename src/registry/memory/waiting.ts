import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Patience } from '../types.ts';

/** What a client is told that gave up waiting for a load, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Lets requests wait for a load, at most so many for each `key`.
 * @throws SlipwayError QUEUE_FULL, MODEL_NOT_READY when the deadline comes first, REQUEST_CANCELLED, and what the load throws.
 */
export function createWaiting(maxWaiting: number) {
  const waiting = new Map<string, number>();

  return async (load: Promise<void>, key: string, subject: string, { deadline, signal }: Patience): Promise<void> => {
    const count = waiting.get(key) ?? 0;
    if (count >= maxWaiting) {
      load.catch(() => undefined);
      throw new SlipwayError('QUEUE_FULL', `${subject} is being loaded, and ${maxWaiting} requests wait for it already.`, {
        retryAfterMs: RETRY_MS,
      });
    }
    waiting.set(key, count + 1);
    try {
      await new Promise<void>((resolve, reject) => {
        const late = (): void =>
          reject(
            new SlipwayError('MODEL_NOT_READY', `${subject} is being loaded, or waits for memory to be free; that took too long.`, {
              retryAfterMs: RETRY_MS,
            }),
          );
        const gone = (): void => reject(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.'));
        const timer = setTimeout(late, Math.max(0, deadline - performance.now()));
        if (signal?.aborted === true) gone();
        signal?.addEventListener('abort', gone, { once: true });
        load.then(resolve, reject).finally(() => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', gone);
        });
      });
    } finally {
      const left = (waiting.get(key) ?? 1) - 1;
      if (left === 0) waiting.delete(key);
      else waiting.set(key, left);
    }
  };
}
