import { SlipwayError, toSlipwayError } from '../errors/slipway-error.ts';
import { sumOf } from './group.ts';
import type { LoadedInfo, Runner, RunnerStatus, RunResult } from './runner.ts';

/** How often it is looked whether a runner that was replaced has answered its last requests, in milliseconds. */
const LOOK_MS = 10;

export interface SwitchingRunnerOptions {
  /** Starts the runner once it is known what to load. */
  readonly prepare: () => Promise<Runner>;
  /** What is said meanwhile, e.g. `The model is being compiled.` */
  readonly preparing: string;
  /** What runs in place of a runner that has failed; undefined for nothing, and the failure stands. Asked once for each. */
  readonly instead?: (failed: SlipwayError) => Runner | undefined;
  /**
   * What takes the place of a runner on which a run has failed; undefined for nothing, and the failure stands. The run is done
   * again on it, and those that fail meanwhile, too.
   */
  readonly elsewhere?: (failed: SlipwayError) => Runner | undefined;
  /** Called when it is told to stop, and waited for. */
  readonly onStop?: () => unknown;
}

export interface SwitchingRunner extends Runner {
  /**
   * Puts another runner in the place of the one that answers, once it has loaded; requests in flight end where they are. The
   * one before is stopped then. It resolves when that is done.
   * @throws SlipwayError why the other one could not be loaded; the one before goes on.
   */
  replace(next: Runner): Promise<void>;
}

/** A runner whose process is chosen later, and may be another one later still. */
export function createSwitchingRunner({ prepare, preparing, instead, elsewhere, onStop }: SwitchingRunnerOptions): SwitchingRunner {
  const listeners: ((status: RunnerStatus) => void)[] = [];
  /** Those that load to take the place, and those that still answer their last requests. */
  const others = new Set<Runner>();
  let inner: Runner | undefined;
  let failure: SlipwayError | undefined;
  let stopping: Promise<void> | undefined;

  function status(): RunnerStatus {
    if (inner !== undefined) return inner.status;
    if (stopping !== undefined) return { state: 'stopped' };
    return failure === undefined ? { state: 'starting' } : { state: 'failed', error: failure };
  }

  function changed(): void {
    for (const listener of listeners) listener(status());
  }

  function take(next: Runner): void {
    inner = next;
    next.onStatus((now) => {
      if (inner !== next) return;
      const substitute = now.state === 'failed' && stopping === undefined ? instead?.(now.error) : undefined;
      if (substitute === undefined) return changed();
      others.add(next);
      void next.stop().finally(() => others.delete(next));
      take(substitute);
      changed();
    });
  }

  function notReady(): SlipwayError {
    if (failure !== undefined) return new SlipwayError('MODEL_FAILED', failure.message, { cause: failure });
    return new SlipwayError('MODEL_NOT_READY', stopping === undefined ? preparing : 'The runner is stopped.');
  }

  const prepared = (async () => {
    try {
      const runner = await prepare();
      take(runner);
      // It was stopped meanwhile.
      if (stopping !== undefined) await runner.stop();
    } catch (error) {
      failure = toSlipwayError(error);
      changed();
    }
  })();

  async function ready(): Promise<LoadedInfo> {
    await prepared;
    if (failure !== undefined) throw failure;
    for (;;) {
      const asked = inner!;
      try {
        return await asked.ready();
      } catch (error) {
        // What stands in for it is there by now.
        if (inner === asked) throw error;
      }
    }
  }

  async function leave(runner: Runner): Promise<void> {
    while (runner.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await runner.stop();
  }

  let moving: Promise<void> | undefined;

  /** Does a run again that has failed, where something else takes over. */
  async function again(asked: Runner, failed: unknown, run: Parameters<Runner['run']>): Promise<RunResult> {
    if (inner === asked && moving === undefined && stopping === undefined && failed instanceof SlipwayError) {
      const next = elsewhere?.(failed);
      if (next !== undefined) moving = replace(next).finally(() => (moving = undefined));
    }
    await moving;
    if (inner === asked) throw failed;
    return inner!.run(...run);
  }

  async function replace(next: Runner): Promise<void> {
    others.add(next);
    try {
      await next.ready();
      if (stopping !== undefined) throw new SlipwayError('MODEL_NOT_READY', 'The runner is stopped.');
    } catch (error) {
      await next.stop();
      others.delete(next);
      throw error;
    }
    others.delete(next);
    const before = inner!;
    others.add(before);
    take(next);
    changed();
    await leave(before).finally(() => others.delete(before));
  }

  return {
    get status() {
      return status();
    },
    get restarts() {
      return inner?.restarts ?? 0;
    },
    get inFlight() {
      let total = inner?.inFlight ?? 0;
      for (const other of others) total += other.inFlight;
      return total;
    },
    get instances() {
      return inner?.instances ?? [];
    },
    get deviceBytes() {
      return sumOf([...(inner === undefined ? [] : [inner]), ...others].map(({ deviceBytes }) => deviceBytes));
    },
    get concurrency() {
      return inner?.concurrency ?? 1;
    },
    onStatus: (listener) => void listeners.push(listener),
    ready,
    run(...run) {
      if (inner === undefined) return Promise.reject(notReady());
      const asked = inner;
      const result = asked.run(...run);
      return elsewhere === undefined ? result : result.catch((error: unknown) => again(asked, error, run));
    },
    async memoryBytes() {
      const each = await Promise.all([...(inner === undefined ? [] : [inner]), ...others].map((runner) => runner.memoryBytes()));
      return each.reduce((sum, bytes) => sum + bytes, 0);
    },
    replace,
    stop() {
      stopping ??= (async () => {
        // `stopping` is set before anything below looks at it.
        await Promise.resolve();
        const told = onStop?.();
        const running = [...(inner === undefined ? [] : [inner]), ...others];
        if (inner === undefined) changed();
        await Promise.all([told, ...running.map((runner) => runner.stop())]);
      })();
      return stopping;
    },
  };
}
