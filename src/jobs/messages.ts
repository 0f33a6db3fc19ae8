import type { EncodedError } from '../errors/encode.ts';
import type { JobEventData } from './job.ts';

/*
 * What the server and the process of a job say to each other, as JSON over Node's own channel. There is little of it:
 * data and weights go by files.
 */

/** The first message to the process. */
export interface StartMessage {
  readonly kind: 'start';
  /** Selects the work; see `child/main.ts`. */
  readonly job: string;
  readonly request: unknown;
}

/** Asks for an end in the middle; the process may also be killed at any moment. */
export interface StopMessage {
  readonly kind: 'stop';
}

export type ToJobProcess = StartMessage | StopMessage;

export type FromJobProcess =
  /** Something happened that is to be kept; `progress` and `metrics` become those of the job. */
  | {
      readonly kind: 'event';
      readonly type: string;
      readonly data: JobEventData;
      readonly progress?: number;
      readonly metrics?: Readonly<Record<string, number>>;
    }
  /** Memory that the process takes, in bytes. */
  | { readonly kind: 'memory'; readonly bytes: number }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: EncodedError };
