import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { LoadedInfo, Placement, Runner, RunnerLauncher, RunnerStatus } from '../../../src/runners/runner.ts';

/** A runner without a process, whose life the test decides. */
export interface FakeRunner extends Runner {
  readonly placement: Placement;
  readonly stopped: boolean;
  becomeReady(): void;
  fail(message: string): void;
  crash(reason: string, retryAfterMs: number): void;
}

export interface FakeLauncher extends RunnerLauncher {
  /** Every runner that was launched, in order. */
  readonly runners: readonly FakeRunner[];
  /** Most runners that were starting at the same time. */
  readonly mostStarting: number;
  /** The latest runner for a folder that ends so, e.g. `digits/2`. */
  runnerOf(folder: string): FakeRunner;
}

/**
 * Launches runners that do as the text in model.onnx says: `held` waits for the test, `broken` fails, everything else
 * becomes ready. `takes 500` is how many bytes of memory it takes.
 */
export function createFakeLauncher(): FakeLauncher {
  const runners: FakeRunner[] = [];
  let starting = 0;
  let mostStarting = 0;

  return {
    runners,
    get mostStarting() {
      return mostStarting;
    },
    launch(placement) {
      starting += 1;
      mostStarting = Math.max(mostStarting, starting);
      const runner = createFakeRunner(placement, runners.length + 1, () => (starting -= 1));
      runners.push(runner);
      return runner;
    },
    runnerOf(folder) {
      const runner = runners.findLast((each) => each.placement.folder.endsWith(`/${folder}`));
      if (runner === undefined) throw new Error(`no runner was launched for ${folder}`);
      return runner;
    },
  };
}

/** `takes 500` in model.onnx is a runner that takes so many bytes. */
function bytesOf({ folder }: Placement): number {
  return Number(/takes (\d+)/.exec(readFileSync(join(folder, 'model.onnx'), 'utf8'))?.[1] ?? 1);
}

function createFakeRunner(placement: Placement, pid: number, onSettled: () => void): FakeRunner {
  const listeners: ((status: RunnerStatus) => void)[] = [];
  const loaded = Promise.withResolvers<LoadedInfo>();
  loaded.promise.catch(() => undefined).finally(onSettled);
  loaded.promise.catch(() => undefined);
  let status: RunnerStatus = { state: 'starting' };
  let restarts = 0;
  const info: LoadedInfo = {
    signature: {
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1] }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [-1] }],
    },
    engine: 'onnx',
    backend: 'fake',
    device: 'cpu',
    reason: 'for tests',
    memoryBytes: 1,
    pid,
  };

  function enter(next: RunnerStatus): void {
    if (status.state === 'stopped') return;
    status = next;
    if (next.state === 'ready') loaded.resolve(info);
    if (next.state === 'failed') loaded.reject(next.error);
    if (next.state === 'stopped') loaded.reject(new SlipwayError('MODEL_NOT_READY', 'The runner was stopped.'));
    for (const listener of listeners) listener(next);
  }

  const runner: FakeRunner = {
    placement,
    get stopped() {
      return status.state === 'stopped';
    },
    get status() {
      return status;
    },
    get restarts() {
      return restarts;
    },
    concurrency: 1,
    inFlight: 0,
    instances: [],
    deviceBytes: 0,
    onStatus: (listener) => void listeners.push(listener),
    ready: () => loaded.promise,
    memoryBytes: async () => bytesOf(placement),
    run: ([inputs]) => Promise.resolve({ outputs: inputs!, computeNs: 0 }),
    async stop() {
      enter({ state: 'stopped' });
    },
    becomeReady: () => enter({ state: 'ready', info }),
    fail: (message) => enter({ state: 'failed', error: new SlipwayError('INVALID_MODEL', message) }),
    crash(reason, retryAfterMs) {
      restarts += 1;
      enter({ state: 'restarting', reason, retryAfterMs, info });
    },
  };

  queueMicrotask(() => {
    try {
      const text = readFileSync(join(placement.folder, 'model.onnx'), 'utf8');
      if (text.startsWith('broken')) runner.fail(`model.onnx: ${text}`);
      else if (!text.startsWith('held')) runner.becomeReady();
    } catch (error) {
      runner.fail(messageOf(error));
    }
  });
  return runner;
}
