import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { MissingDevice, WarmUpOptions } from '../../engines/engine.ts';
import { hasCode } from '../../errors/has-code.ts';
import type { SlipwayError } from '../../errors/slipway-error.ts';
import { messageOf } from '../../errors/slipway-error.ts';
import type { Logger } from '../../observability/log.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import type { LoadMessage } from '../messages.ts';
import type { LoadedInfo, RunResult } from '../runner.ts';
import { createRunnerConnection, type Fault, type RunnerConnection } from './connection.ts';
import { describeCause, describeEnd } from './describe-end.ts';
import { captureOutput, type Output } from './output.ts';

/** After the end of a process its pipes are read to their end, but no longer: a grandchild may hold them open. */
const FLUSH_MS = 500;
/** A runner that closed its connection is expected to end by itself within this time. */
const CLOSED_GRACE_MS = 1_000;

/** What a runner process is started with. */
export interface ProcessSettings {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  /** Path of the child program. */
  readonly childProgram: string;
  readonly env: Readonly<Record<string, string>>;
  readonly loadTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly unresponsiveMs: number;
  /** How long a process that was asked to stop may take before it is killed. */
  readonly stopGraceMs: number;
  readonly maxFrameBytes: number;
  readonly warmUp: Omit<WarmUpOptions, 'folder'>;
  readonly missingDevice: MissingDevice;
}

/** Why a process does not serve any more. */
export interface ProcessDown {
  /** `not-started`: the system had no process, memory or file handle to give; it may have later. */
  readonly kind: Fault | 'not-started' | 'load-failed' | 'load-timeout' | 'stopped';
  /** What happened, in words that go after "the process". */
  readonly how: string;
  /** What is known of the cause, ` (…)` or empty; for the log and the status, not for clients. */
  readonly cause: string;
  /** The engine's reason when it refused the model; undefined for all other kinds than `load-failed`. */
  readonly loadError: SlipwayError | undefined;
}

export interface RunnerProcessOptions {
  readonly settings: ProcessSettings;
  readonly placement: LoadMessage['placement'];
  /** Short name for messages, e.g. `digits/1`. */
  readonly label: string;
  readonly logger: Logger;
  readonly onLoaded: (info: LoadedInfo) => void;
  /**
   * Called once, as soon as the process can't serve any more; it may still be ending then. Never called before
   * `startRunnerProcess` has returned. Runs in flight fail with what it returns.
   */
  readonly onDown: (down: ProcessDown) => SlipwayError;
  /** Called with each new process; the returned function is called at its end. */
  readonly track: (child: ChildProcess) => () => void;
}

export interface RunnerProcess {
  readonly inFlight: number;
  /** Resident memory as it was last told by the process, in bytes; undefined before the first answer to a ping. */
  readonly reportedBytes: number | undefined;
  /** The same of the memory of its GPU. */
  readonly reportedDeviceBytes: number | undefined;
  /** Resolves once the process has ended and all of its pipes are closed. */
  readonly ended: Promise<void>;
  run(parts: readonly NamedTensors[], outputs: readonly string[], signatureName?: string): Promise<RunResult>;
  /** Asks the process to end and kills it when it does not; resolves with its end. */
  stop(): Promise<void>;
}

/** What TensorFlow prints on stderr whatever its log level is told: its notes, and a warning that it will do so. */
const TALK = /^(I\d{4} |WARNING: All log messages before absl)/;

/**
 * Starts one runner process and has it load its model. Knows nothing of restarts.
 * @throws Error when the system has no process or file descriptor to give; other failures come by `onDown`.
 */
export function startRunnerProcess(options: RunnerProcessOptions): RunnerProcess {
  const { settings, placement, label, logger, onLoaded, onDown, track } = options;
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<void>();
  const child = spawn(settings.execPath, [...settings.execArgv, settings.childProgram], {
    // fd 3 is the connection. stdout and stderr stay free for what libraries print.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...settings.env },
    windowsHide: true,
  });
  child.on('error', (error) => {
    // Also emitted when a signal can't be sent; then the process is there and its end follows.
    if (child.pid !== undefined || child.stdio === undefined) return;
    const kind = hasCode(error, 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM') ? 'not-started' : 'crashed';
    finish(`could not be started: ${messageOf(error)}`, '', kind);
  });
  // Node leaves it undefined, against its types, when there are too many open files.
  if ((child.stdio as unknown) === undefined) throw new Error('too many open files');
  const [, stdout, stderr, link] = child.stdio as unknown as [null, Readable, Readable, Socket];
  const untrack = track(child);
  const about = { runner: label, pid: child.pid };

  let isDown = false;
  let isLoaded = false;
  let hasEnded = false;
  let fatal: string | undefined;
  let killTimer: NodeJS.Timeout | undefined;

  function goDown(kind: ProcessDown['kind'], how: string, cause = '', loadError?: SlipwayError): void {
    if (isDown) return;
    isDown = true;
    clearTimeout(loadTimer);
    connection.close(onDown({ kind, how, cause, loadError }));
  }

  function kill(): void {
    clearTimeout(killTimer);
    if (!hasEnded) child.kill('SIGKILL');
  }

  function later(delayMs: number, action: () => void): void {
    clearTimeout(killTimer);
    killTimer = setTimeout(action, delayMs);
  }

  function onFault(fault: Fault, how: string): void {
    goDown(fault, how);
    kill();
  }

  const logLine = (stream: 'stdout' | 'stderr') => (line: string) =>
    stream === 'stdout' || TALK.test(line) ? logger.debug({ ...about, stream }, line) : logger.warn({ ...about, stream }, line);
  captureOutput(stdout, logLine('stdout'));
  const errorOutput: Output = captureOutput(stderr, logLine('stderr'));

  const connection: RunnerConnection = createRunnerConnection({
    socket: link,
    maxFrameBytes: settings.maxFrameBytes,
    heartbeatMs: settings.heartbeatMs,
    unresponsiveMs: settings.unresponsiveMs,
    onLoaded(info) {
      isLoaded = true;
      clearTimeout(loadTimer);
      onLoaded({ ...info, pid: child.pid ?? 0 });
    },
    onLoadFailed(error) {
      goDown('load-failed', 'could not load its model', '', error);
      kill();
    },
    onFatal(message) {
      fatal = message;
    },
    onFault,
  });

  const loadTimer = setTimeout(() => {
    goDown('load-timeout', `did not load its model within ${settings.loadTimeoutMs} ms and was ended`);
    kill();
  }, settings.loadTimeoutMs);
  loadTimer.unref();

  link.once('close', () => {
    if (!hasEnded) later(CLOSED_GRACE_MS, () => onFault('crashed', 'closed its connection without ending and was ended'));
  });

  let flushTimer: NodeJS.Timeout | undefined;
  child.once('exit', () => {
    hasEnded = true;
    clearTimeout(killTimer);
    // `close` comes once all pipes have been read to their end, and with it the last lines that were printed.
    flushTimer = setTimeout(() => {
      for (const stream of [stdout, stderr, link]) stream.destroy();
    }, FLUSH_MS);
  });
  child.once('close', (exitCode, signal) => {
    finish(describeEnd(exitCode, signal), describeCause(fatal, errorOutput.lastLines));
  });
  function finish(how: string, cause: string, kind: ProcessDown['kind'] = 'crashed'): void {
    hasEnded = true;
    clearTimeout(flushTimer);
    clearTimeout(killTimer);
    goDown(kind, how, cause);
    for (const stream of [stdout, stderr, link]) stream.destroy();
    untrack();
    resolveEnded();
  }

  connection.load(placement, { ...settings.warmUp, folder: placement.recordedFolder ?? placement.folder }, settings.missingDevice);

  return {
    get inFlight() {
      return connection.inFlight;
    },
    get reportedBytes() {
      return connection.reportedBytes;
    },
    get reportedDeviceBytes() {
      return connection.reportedDeviceBytes;
    },
    ended,
    run: connection.run,
    stop() {
      if (!hasEnded) {
        // While it loads there is nothing to finish, and it could not hear the message.
        if (isLoaded && !isDown) {
          connection.requestStop();
          later(settings.stopGraceMs, kill);
        } else kill();
      }
      goDown('stopped', 'was stopped');
      return ended;
    },
  };
}
