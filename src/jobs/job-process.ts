import { describeExit, forkProgram, programFile } from '../concurrency/fork-program.ts';
import { decodeError } from '../errors/encode.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { FromJobProcess, ToJobProcess } from './messages.ts';

const PROGRAM = programFile('./child/main', import.meta.url);

const PRINTED_CHARS = 4_000;
/** By which V8 and C++ name the lack of memory. */
const OUT_OF_MEMORY = /out of memory|bad_alloc|Array buffer allocation failed|heap limit/i;

export interface JobProcessSettings {
  /** Environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly maxMemoryBytes: number;
  readonly maxDurationMs: number;
  /** Time that the process may take to end when it is asked to. */
  readonly stopGraceMs: number;
  /** Where the first two are set, for messages: `jobs` for `jobs.maxMemoryBytes`. */
  readonly group: 'jobs' | 'compiler';
}

export interface JobProcessOptions {
  readonly settings: JobProcessSettings;
  /** Selects the work in the process. */
  readonly job: string;
  readonly request: unknown;
  readonly onEvent: (event: Extract<FromJobProcess, { kind: 'event' }>) => void;
  /** Ends the process: first it is asked, and after the grace it is killed. */
  readonly signal: AbortSignal;
}

/**
 * Runs a job in a process of its own: it computes for long without a pause, and its memory comes back only with the end of
 * the process.
 * @returns what the job says that came of it.
 * @throws SlipwayError what the job failed with; JOB_CRASHED, JOB_OUT_OF_MEMORY, JOB_TIMEOUT when the process ended
 * without an answer; REQUEST_CANCELLED when the signal ended it.
 */
export function runJobProcess({ settings, job, request, onEvent, signal }: JobProcessOptions): Promise<unknown> {
  const { env, maxMemoryBytes, maxDurationMs, stopGraceMs, group } = settings;
  return new Promise((resolve, reject) => {
    const forked = forkProgram(PROGRAM, { env, maxHeapBytes: maxMemoryBytes, printedChars: PRINTED_CHARS });
    const { child } = forked;
    let answer: Extract<FromJobProcess, { kind: 'done' | 'failed' }> | undefined;
    let ended: SlipwayError | undefined;
    let killTimer: NodeJS.Timeout | undefined;
    const send = (message: ToJobProcess): void => {
      if (child.connected) child.send(message, () => {});
    };
    child.once('spawn', () => onEvent({ kind: 'event', type: 'process', data: { pid: child.pid } }));
    const endWith = (error: SlipwayError): void => {
      ended ??= error;
      child.kill('SIGKILL');
    };
    const stop = (): void => {
      ended ??= new SlipwayError('REQUEST_CANCELLED', 'The job was stopped.');
      send({ kind: 'stop' });
      killTimer ??= setTimeout(() => child.kill('SIGKILL'), stopGraceMs);
    };
    const durationTimer = setTimeout(() => {
      endWith(new SlipwayError('JOB_TIMEOUT', `The job took longer than ${maxDurationMs} ms, the setting ${group}.maxDurationMs.`));
    }, maxDurationMs);
    // The heap's bound does not hold for memory outside of it, where the numbers are; the process tells what it takes.
    child.on('message', (message: FromJobProcess) => {
      if (message.kind === 'event') onEvent(message);
      else if (message.kind !== 'memory') answer = message;
      else if (message.bytes > maxMemoryBytes) {
        const text = `The job took ${message.bytes} bytes of memory; the setting ${group}.maxMemoryBytes allows ${maxMemoryBytes}. Try a smaller batch or model.`;
        endWith(new SlipwayError('JOB_OUT_OF_MEMORY', text));
      }
    });
    child.once('error', (error) => {
      ended ??= new SlipwayError('JOB_CRASHED', `The process of the job could not be started: ${messageOf(error)}.`);
    });
    child.once('close', (code, endSignal) => {
      signal.removeEventListener('abort', stop);
      clearTimeout(killTimer);
      clearTimeout(durationTimer);
      if (answer?.kind === 'done') resolve(answer.result);
      else if (ended !== undefined) reject(ended);
      else if (answer !== undefined) reject(decodeError(answer.error));
      else if (OUT_OF_MEMORY.test(forked.printed)) {
        reject(new SlipwayError('JOB_OUT_OF_MEMORY', 'The process of the job ran out of memory. Try a smaller batch or model.'));
      } else {
        const message = `The process of the job ${describeExit(code, endSignal)}.`;
        reject(new SlipwayError('JOB_CRASHED', message, { cause: new Error(forked.printed) }));
      }
    });
    signal.addEventListener('abort', stop, { once: true });
    send({ kind: 'start', job, request });
    if (signal.aborted) stop();
  });
}
