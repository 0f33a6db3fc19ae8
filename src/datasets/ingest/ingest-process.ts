import { describeExit, forkProgram, programFile } from '../../concurrency/fork-program.ts';
import { decodeError, type EncodedError } from '../../errors/encode.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DatasetDescription } from '../dataset.ts';
import type { IngestProgress, IngestRequest } from './ingest.ts';

/** What the program answers. */
export type IngestReply = { readonly description: DatasetDescription } | { readonly error: EncodedError };
/** And what it tells before. */
export type FromIngestProcess = IngestReply | { readonly progress: IngestProgress };

const PROGRAM = programFile('./main', import.meta.url);

export interface IngestProcessOptions {
  /** Of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Largest JavaScript heap, in bytes. */
  readonly maxHeapBytes: number;
  /** Ends the process. */
  readonly signal: AbortSignal;
  /** Told from time to time how far it is. */
  readonly onProgress?: (progress: IngestProgress) => void;
}

const PRINTED_CHARS = 2_000;

/**
 * Runs `ingest` in a process of its own: large data must not hold up requests, and damaged data must not take the server
 * along.
 * @throws SlipwayError as `ingest`, and DATASET_READER_FAILED when the process ended without an answer.
 */
export function ingestInProcess(
  request: IngestRequest,
  { env, maxHeapBytes, signal, onProgress }: IngestProcessOptions,
): Promise<DatasetDescription> {
  return new Promise((resolve, reject) => {
    const forked = forkProgram(PROGRAM, { env, maxHeapBytes, printedChars: PRINTED_CHARS });
    const { child } = forked;
    const kill = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    if (signal.aborted) kill();
    let reply: IngestReply | undefined;
    child.on('message', (message: FromIngestProcess) => {
      if ('progress' in message) onProgress?.(message.progress);
      else reply = message;
    });
    child.once('error', (error) => {
      reply ??= {
        error: { code: 'DATASET_READER_FAILED', message: `The process that reads the dataset could not be started: ${error.message}.` },
      };
    });
    child.once('close', (code, endSignal) => {
      signal.removeEventListener('abort', kill);
      if (reply !== undefined && 'description' in reply) resolve(reply.description);
      // Asked for first: a process that is ended before it has its request is also an error of sending it.
      else if (signal.aborted) reject(new SlipwayError('REQUEST_CANCELLED', 'The dataset is not wanted any more.'));
      else if (reply !== undefined) reject(decodeError(reply.error));
      else {
        const message = `The process that reads the dataset ${describeExit(code, endSignal)}; nothing was kept.`;
        reject(new SlipwayError('DATASET_READER_FAILED', message, { cause: new Error(forked.printed) }));
      }
    });
    child.send(request);
  });
}
