import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { programFile } from '../../concurrency/fork-program.ts';
import type { Logger } from '../../observability/log.ts';
import { DEFAULT_MAX_FRAME_BYTES } from '../frames.ts';
import { labelOf, type RunnerLauncher } from '../runner.ts';
import { runnerEnvironment } from './environment.ts';
import type { ProcessSettings } from './process.ts';
import { superviseRunner } from './supervisor.ts';

export interface RunnerLauncherOptions {
  /** As the setting `runners.loadTimeoutMs`. */
  readonly loadTimeoutMs: number;
  /** As the setting `runners.heartbeatMs`. */
  readonly heartbeatMs: number;
  /** As the setting `runners.unresponsiveMs`. */
  readonly unresponsiveMs: number;
  /** As the setting `runners.restartBackoffMs`. */
  readonly restartBackoffMs: number;
  /** As the setting `runners.maxRestarts`: so many restarts in a row are tried; 0 gives up at the first crash. */
  readonly maxRestarts: number;
  readonly logger: Logger;
  /** The server's environment; a runner gets the part of it that it needs. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /**
   * Folder for code that Node has compiled, kept from one start to the next: it saves a runner that starts from
   * TypeScript 18 MB and a third of its start. Default: `NODE_COMPILE_CACHE`, else Node's own folder under the
   * system's folder for temporary files.
   */
  readonly compileCacheFolder?: string;
  /** Time that a runner has served after which crashes are counted anew, in milliseconds. Default one minute. */
  readonly settledAfterMs?: number;
  /** Time that a runner may take to end when asked to, in milliseconds; it is killed then. Default 2 s. */
  readonly stopGraceMs?: number;
  /** As the settings under `warmUp`; models are not warmed up when left out. */
  readonly warmUp?: ProcessSettings['warmUp'];
  /** As the setting `devices.onMissing`; `fallback` when left out. */
  readonly missingDevice?: ProcessSettings['missingDevice'];
  /** Largest frame to or from a runner, in bytes. Default 2 GiB − 1. */
  readonly maxFrameBytes?: number;
  /** The program that is started; Slipway's own unless a test needs one that misbehaves. */
  readonly childProgram?: URL;
  /** Flags for Node in place of Slipway's own. */
  readonly execArgv?: readonly string[];
}

/**
 * A small young generation. Tensors are memory outside of the JavaScript heap that only a collection gives back, and a
 * runner makes little else, so with Node's default it collects too seldom: after some 50,000 requests of 3 to 100 kB,
 * 1 MiB left a runner of ONNX Runtime at 130 MB resident instead of 177, without being slower.
 */
const NODE_FLAGS = ['--max-semi-space-size=1'];

const NO_WARM_UP = { mode: 'off', onFailure: 'refuse', maxRequests: 1 } as const;

/**
 * Processes that must not outlive this one. They end by themselves when their connection does, but one that is stuck
 * in native code would not notice, so they are killed as well when this process exits. When this process itself is
 * killed with SIGKILL while a runner is stuck, the runner stays; only the system can end it then.
 */
function createExitGuard(): (child: ChildProcess) => () => void {
  const live = new Set<ChildProcess>();
  const killAll = (): void => {
    for (const child of live) child.kill('SIGKILL');
  };
  return (child) => {
    if (live.size === 0) process.once('exit', killAll);
    live.add(child);
    return () => {
      live.delete(child);
      if (live.size === 0) process.off('exit', killAll);
    };
  };
}

/** Launches runners as child processes of this one. */
export function createRunnerLauncher(options: RunnerLauncherOptions): RunnerLauncher {
  const { logger, restartBackoffMs, maxRestarts, settledAfterMs = 60_000 } = options;
  const track = createExitGuard();
  const processSettings = {
    execPath: process.execPath,
    execArgv: options.execArgv ?? NODE_FLAGS,
    childProgram: options.childProgram === undefined ? programFile('../child/main', import.meta.url) : fileURLToPath(options.childProgram),
    env: runnerEnvironment(options.env, options.compileCacheFolder),
    loadTimeoutMs: options.loadTimeoutMs,
    heartbeatMs: options.heartbeatMs,
    unresponsiveMs: options.unresponsiveMs,
    stopGraceMs: options.stopGraceMs ?? 2_000,
    maxFrameBytes: options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES,
    warmUp: options.warmUp ?? NO_WARM_UP,
    missingDevice: options.missingDevice ?? 'fallback',
  };
  return {
    launch: (placement) =>
      superviseRunner({
        placement,
        label: labelOf(placement),
        process: processSettings,
        restartBackoffMs,
        maxRestarts,
        settledAfterMs,
        logger,
        track,
      }),
  };
}
