import type { EncodedError } from '../errors/encode.ts';

/** `cancelling` lasts until the process of the job has ended. */
export const JOB_STATES = ['queued', 'running', 'cancelling', 'cancelled', 'failed', 'succeeded'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Where a job can go from a state. A job that ended without success may be put into the queue again. */
export const TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ['running', 'cancelled', 'failed'],
  running: ['cancelling', 'succeeded', 'failed', 'queued'],
  cancelling: ['cancelled', 'succeeded', 'failed'],
  cancelled: ['queued'],
  failed: ['queued'],
  succeeded: [],
};

/** What kinds of jobs there are. */
export type JobKind = 'train' | 'optimize';

/** Plain data, told from time to time. */
export type JobEventData = Readonly<Record<string, unknown>>;

/** Something that happened to a job. Ids count from 1 in each job. */
export interface JobEvent {
  readonly id: number;
  /** `state`, and what the kind of job has beside it, e.g. `progress` or `epoch`. */
  readonly type: string;
  /** ISO 8601. */
  readonly at: string;
  readonly data: JobEventData;
}

export interface Job {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  /** Why the job is in this state, in words; empty when there is nothing to say. */
  readonly reason: string;
  /** The coded error of a failed job. */
  readonly error: EncodedError | undefined;
  /** Jobs of a higher priority are taken from the queue first, among equals the one that came first. */
  readonly priority: number;
  /** Share of the work that is done, 0 to 1. */
  readonly progress: number;
  /** Of what was asked for, with every default filled in. */
  readonly spec: unknown;
  /** What has been measured last; plain data. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What came of a job that succeeded; plain data. */
  readonly result: unknown;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly endedAt: string | undefined;
  /** How often it was started: more than once after a cancellation, a crash or a restart of the server. */
  readonly attempts: number;
}

/** Whether nothing more will happen unless someone asks for it. */
export function hasEnded({ state }: Pick<Job, 'state'>): boolean {
  return state === 'cancelled' || state === 'failed' || state === 'succeeded';
}
