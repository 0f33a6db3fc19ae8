import { SlipwayError } from '../errors/slipway-error.ts';

/** Waits for `result`, but no longer than it is wanted; what comes after that goes to `late`. */
export function whileWanted<T>(result: Promise<T>, signal: AbortSignal, late?: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new SlipwayError('MODEL_NOT_READY', 'The load was given up.'));
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    result
      .then((value) => {
        if (signal.aborted) late?.(value);
        resolve(value);
      }, reject)
      .finally(() => signal.removeEventListener('abort', giveUp));
  });
}
