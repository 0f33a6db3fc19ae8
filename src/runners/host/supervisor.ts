import type { ChildProcess } from 'node:child_process';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { Logger } from '../../observability/log.ts';
import type { LoadedInfo, Placement, Runner, RunnerStatus } from '../runner.ts';
import { processMemoryBytes } from './memory.ts';
import { type ProcessDown, type ProcessSettings, type RunnerProcess, startRunnerProcess } from './process.ts';

const MAX_BACKOFF_MS = 30_000;
/** What a client is told to wait while the model is loaded for the first time: nobody knows how long that takes. */
const LOADING_RETRY_MS = 1_000;

export interface SupervisorOptions {
  readonly placement: Placement;
  /** Short name of the placement for messages, e.g. `digits/1`. */
  readonly label: string;
  readonly process: ProcessSettings;
  readonly restartBackoffMs: number;
  readonly maxRestarts: number;
  /** A runner that served for so long before it crashed starts the count of crashes anew. */
  readonly settledAfterMs: number;
  readonly logger: Logger;
  readonly track: (child: ChildProcess) => () => void;
}

interface Waiter {
  readonly resolve: (info: LoadedInfo) => void;
  readonly reject: (error: SlipwayError) => void;
}

/** Keeps one placement running: starts its process, starts it again after a crash, and gives up on a crash loop. */
export function superviseRunner(options: SupervisorOptions): Runner {
  const { verify, ...placement } = options.placement;
  const { label, logger, restartBackoffMs, maxRestarts, settledAfterMs } = options;
  const listeners: ((status: RunnerStatus) => void)[] = [];
  let waiters: Waiter[] = [];
  let status: RunnerStatus = { state: 'starting' };
  let current: RunnerProcess | undefined;
  let lastInfo: LoadedInfo | undefined;
  let readyAt: number | undefined;
  let crashesInRow = 0;
  let restarts = 0;
  let restartTimer: NodeJS.Timeout | undefined;
  let stopping: Promise<void> | undefined;

  function setStatus(next: RunnerStatus): void {
    status = next;
    for (const listener of listeners) {
      try {
        listener(next);
      } catch (error) {
        logger.error({ runner: label, err: error }, 'a listener to the status of a runner failed');
      }
    }
  }

  function settleWaiters(settle: (waiter: Waiter) => void): void {
    const settled = waiters;
    waiters = [];
    for (const waiter of settled) settle(waiter);
  }

  function start(): void {
    try {
      current = startRunnerProcess({ settings: options.process, placement, label, logger, onLoaded, onDown, track: options.track });
    } catch (error) {
      current = undefined;
      // Not at once, so that whoever launched the runner can listen to its status first.
      setImmediate(onDown, { kind: 'not-started', how: `could not be started: ${messageOf(error)}`, cause: '', loadError: undefined });
    }
  }

  function onLoaded(info: LoadedInfo): void {
    lastInfo = info;
    readyAt = performance.now();
    logger.debug(
      { runner: label, pid: info.pid, engine: info.engine, device: info.device, memoryBytes: info.memoryBytes },
      'runner is ready',
    );
    setStatus({ state: 'ready', info });
    settleWaiters((waiter) => waiter.resolve(info));
  }

  function fail(error: SlipwayError): void {
    logger.debug({ runner: label, code: error.code, reason: error.message }, 'runner has failed and is not started again');
    setStatus({ state: 'failed', error });
    settleWaiters((waiter) => waiter.reject(error));
  }

  async function startAgain(): Promise<void> {
    try {
      if (stopping === undefined) await verify?.();
    } catch (error) {
      if (stopping === undefined)
        fail(error instanceof SlipwayError ? error : new SlipwayError('MODEL_FAILED', messageOf(error), { cause: error }));
      return;
    }
    if (stopping !== undefined) return;
    restarts += 1;
    start();
  }

  function restartAfterCrash(reason: string): number {
    const retryAfterMs = Math.min(restartBackoffMs * 2 ** (crashesInRow - 1), MAX_BACKOFF_MS);
    const ended = current?.ended ?? Promise.resolve();
    restartTimer = setTimeout(() => {
      // Never two processes of one placement: the memory of both might not fit.
      void ended.then(startAgain);
    }, retryAfterMs);
    logger.warn({ runner: label, reason, retryAfterMs, crashesInRow }, 'runner is started again');
    setStatus({ state: 'restarting', reason: `${reason} It is started again in ${retryAfterMs} ms.`, retryAfterMs, info: lastInfo });
    return retryAfterMs;
  }

  /** Decides what follows and returns the error for the requests that were in the process. */
  function onDown(down: ProcessDown): SlipwayError {
    const code = down.kind === 'unresponsive' ? 'RUNNER_UNRESPONSIVE' : 'RUNNER_CRASHED';
    const message = `The process that runs ${label} ${down.how}.`;
    const wasReady = readyAt;
    readyAt = undefined;
    if (stopping !== undefined || down.kind === 'stopped') return new SlipwayError(code, message);

    if (down.loadError !== undefined) {
      fail(down.loadError);
      return down.loadError;
    }
    if (down.kind === 'load-timeout' && lastInfo === undefined) {
      // It would take as long again. A model that has loaded before may only have met a busy machine.
      const error = new SlipwayError('MODEL_FAILED', `${message} The limit is the setting runners.loadTimeoutMs.`);
      fail(error);
      return error;
    }

    if (wasReady !== undefined && performance.now() - wasReady >= settledAfterMs) crashesInRow = 0;
    crashesInRow += 1;
    const reason = `The process that runs ${label} ${down.how}${down.cause}.`;
    // That the system has nothing to give is not the model's fault, and may be over at the next try.
    if (crashesInRow > maxRestarts && down.kind !== 'not-started') {
      fail(new SlipwayError('MODEL_FAILED', `${reason} It crashed ${crashesInRow} times in a row and is not started again.`));
      return new SlipwayError(code, message);
    }
    const retryAfterMs = restartAfterCrash(reason);
    return new SlipwayError(code, `${message} It is started again; the request may be sent again.`, { retryAfterMs });
  }

  function notReady(): SlipwayError {
    if (stopping !== undefined || status.state === 'stopped')
      return new SlipwayError('MODEL_NOT_READY', `The runner of ${label} is stopped.`);
    if (status.state === 'failed')
      return new SlipwayError('MODEL_FAILED', status.error.message, { details: status.error.details, cause: status.error });
    if (status.state === 'restarting') return new SlipwayError('MODEL_NOT_READY', status.reason, { retryAfterMs: status.retryAfterMs });
    return new SlipwayError('MODEL_NOT_READY', `${label} is being loaded.`, { retryAfterMs: LOADING_RETRY_MS });
  }

  async function stop(): Promise<void> {
    clearTimeout(restartTimer);
    settleWaiters((waiter) => waiter.reject(notReady()));
    await current?.stop();
    setStatus({ state: 'stopped' });
  }

  start();

  return {
    get status() {
      return status;
    },
    get restarts() {
      return restarts;
    },
    concurrency: 1,
    get inFlight() {
      return current?.inFlight ?? 0;
    },
    get instances() {
      const pid = status.state === 'ready' ? status.info.pid : undefined;
      return [{ state: status.state, pid, restarts, inFlight: current?.inFlight ?? 0 }];
    },
    get deviceBytes() {
      return status.state === 'ready' && status.info.device === 'cpu' ? 0 : current?.reportedDeviceBytes;
    },
    onStatus(listener) {
      listeners.push(listener);
    },
    async memoryBytes() {
      if (status.state !== 'ready') return lastInfo?.memoryBytes ?? 0;
      const { pid, memoryBytes } = status.info;
      return (await processMemoryBytes(pid)) ?? current?.reportedBytes ?? memoryBytes;
    },
    ready() {
      if (stopping !== undefined) return Promise.reject(notReady());
      if (status.state === 'ready') return Promise.resolve(status.info);
      if (status.state === 'failed') return Promise.reject(status.error);
      return new Promise((resolve, reject) => waiters.push({ resolve, reject }));
    },
    run(parts, outputs, signatureName) {
      if (status.state !== 'ready' || stopping !== undefined || current === undefined) return Promise.reject(notReady());
      return current.run(parts, outputs, signatureName);
    },
    stop() {
      if (stopping !== undefined) return stopping;
      // Assigned before anything is ended, since whoever fails by it must see that the runner is stopping.
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      stopping = promise;
      stop().then(resolve, reject);
      return promise;
    },
  };
}
