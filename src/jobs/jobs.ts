import { randomUUID } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeError } from '../errors/encode.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { hasEnded, type Job, type JobEvent, type JobEventData, type JobKind } from './job.ts';
import { type JobStore, openJobStore } from './job-store.ts';

/** What the work on a job is given. */
export interface WorkContext {
  /** A folder of the job's own. What lies there is there again when the job goes on after an interruption. */
  readonly folder: string;
  /** Aborted when the job is to end before its time. */
  readonly signal: AbortSignal;
  /** Keeps an event, and what is to be seen in the job. */
  report(
    type: string,
    data: JobEventData,
    change?: { readonly progress?: number; readonly metrics?: Readonly<Record<string, number>> },
  ): void;
}

/** What came of a job. */
export interface WorkOutcome {
  /** Plain data. */
  readonly result: unknown;
  /** What there is to say of it; empty for nothing. */
  readonly reason: string;
}

/** Does the jobs of a kind; it goes on where an earlier attempt ended. */
export type Work = (job: Job, context: WorkContext) => Promise<WorkOutcome>;

export interface JobsOptions {
  /** Folder of the records and of the jobs' own folders. */
  readonly folder: string;
  /** As the setting `jobs.maxQueued`. */
  readonly maxQueued: number;
  /** As the setting `jobs.maxRunning`. */
  readonly maxRunning: number;
  /** As the setting `jobs.maxRestarts`. */
  readonly maxRestarts: number;
  /** As the setting `jobs.maxEvents`. */
  readonly maxEvents: number;
  /** As the setting `jobs.maxEnded`. */
  readonly maxEnded: number;
  readonly work: Readonly<Record<JobKind, Work>>;
  readonly logger: Logger;
}

export interface Submission {
  readonly kind: JobKind;
  readonly spec: unknown;
  /** Default 0. */
  readonly priority?: number | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** Long work: what is queued, what runs and what came of it. Survives a restart. */
export interface Jobs {
  /** Opens the records and goes on with what was queued or running. */
  start(): Promise<void>;
  /** Ends what runs; it is queued again and goes on after the next start. */
  stop(): Promise<void>;
  /**
   * Queues a job. The same idempotency key gives the same job.
   * @throws SlipwayError JOB_QUEUE_FULL, IDEMPOTENCY_CONFLICT
   */
  submit(submission: Submission): Promise<Job>;
  /** Newest first. */
  list(kind: JobKind): readonly Job[];
  /** @throws SlipwayError JOB_NOT_FOUND */
  describe(kind: JobKind, id: string): Job;
  /** Ends a job, if it has not ended. @throws SlipwayError JOB_NOT_FOUND */
  cancel(kind: JobKind, id: string): Job;
  /** Queues a job again that was cancelled or failed; it goes on from its last checkpoint. @throws SlipwayError JOB_NOT_FOUND, JOB_NOT_RESUMABLE, JOB_QUEUE_FULL */
  resume(kind: JobKind, id: string): Job;
  /**
   * Takes away a job that has ended, with its events, its checkpoints and its idempotency key. What it has published stays.
   * @throws SlipwayError JOB_NOT_FOUND, JOB_NOT_ENDED
   */
  remove(kind: JobKind, id: string): Promise<void>;
  /**
   * What has happened after an event, and then what happens, until the job has ended.
   * @param after id of the last event that is known; 0 for all
   * @throws SlipwayError JOB_NOT_FOUND
   */
  events(kind: JobKind, id: string, after: number, signal: AbortSignal): AsyncIterable<JobEvent>;
}

const RECORDS = 'jobs.db';
/** Events that are read at once. */
const PAGE = 200;

export function createJobs({ folder, maxQueued, maxRunning, maxRestarts, maxEvents, maxEnded, work, logger }: JobsOptions): Jobs {
  let store: JobStore | undefined;
  let isStopping = false;
  const running = new Map<string, { readonly controller: AbortController; readonly ended: Promise<void> }>();
  /** Emits the id of a job whose events are to be looked at again. */
  const changes = new EventEmitter();
  const stopped = new AbortController();
  changes.setMaxListeners(0);

  function records(): JobStore {
    if (store === undefined || isStopping) throw new SlipwayError('SHUTTING_DOWN', 'The server is stopping and takes no new work.');
    return store;
  }

  function describe(kind: JobKind, id: string): Job {
    const job = records().find(id);
    if (job?.kind === kind) return job;
    throw new SlipwayError('JOB_NOT_FOUND', `There is no ${kind} job "${id}".`);
  }

  function checkRoom(open: JobStore): void {
    if (open.inStates('queued').length < maxQueued) return;
    throw new SlipwayError('JOB_QUEUE_FULL', `${maxQueued} jobs are queued already, the setting jobs.maxQueued.`, { retryAfterMs: 60_000 });
  }

  /** What cannot be removed now is removed at the next start, once its job is no more. */
  async function removeFolder(id: string): Promise<void> {
    try {
      await rm(join(folder, id), { recursive: true, force: true });
    } catch (error) {
      logger.warn({ err: error, job: id }, `the folder of the job ${id} could not be removed`);
    }
  }

  /** All records go before this returns its promise, so that nobody finds a job whose checkpoint is gone. */
  async function removeEnded(ids: readonly string[], open: JobStore): Promise<void> {
    for (const id of ids) open.remove(id);
    for (const id of ids) await removeFolder(id);
  }

  async function removeOrphans(open: JobStore): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory() && open.find(entry.name) === undefined) await removeFolder(entry.name);
  }

  async function perform(job: Job, open: JobStore, signal: AbortSignal): Promise<void> {
    const own = join(folder, job.id);
    try {
      await mkdir(own, { recursive: true });
      const outcome = await work[job.kind](job, {
        folder: own,
        signal,
        report(type, data, change) {
          if (change !== undefined) open.change(job.id, change);
          open.addEvent(job.id, type, data);
          open.trimEvents(job.id, maxEvents);
          changes.emit(job.id);
        },
      });
      open.move(job.id, 'succeeded', { ...outcome, progress: 1 });
      await removeFolder(job.id);
    } catch (error) {
      const { state } = open.find(job.id)!;
      if (state === 'cancelling') open.move(job.id, 'cancelled', { reason: 'Cancelled by request.' });
      else if (isStopping) open.move(job.id, 'queued', { reason: 'The server was stopped; the job goes on after its next start.' });
      else {
        const encoded = encodeError(error);
        // What was done is in the checkpoint, so a crash costs little; one that comes again and again is no accident.
        if (encoded.code === 'JOB_CRASHED' && job.attempts <= maxRestarts)
          open.move(job.id, 'queued', { reason: `${encoded.message} It goes on.` });
        else open.move(job.id, 'failed', { reason: encoded.message, error: encoded });
        if (encoded.code === 'INTERNAL') logger.error({ err: error, job: job.id }, 'a job failed by a defect');
      }
      logger.info({ job: job.id, reason: messageOf(error) }, `the job ${job.id} is ${open.find(job.id)!.state}`);
    }
    changes.emit(job.id);
  }

  /** Starts what there is room for. */
  function advance(): void {
    if (isStopping || store === undefined) return;
    const open = store;
    for (const queued of open.inStates('queued')) {
      if (running.size >= maxRunning) return;
      const job = open.move(queued.id, 'running');
      changes.emit(job.id);
      const controller = new AbortController();
      const ended = perform(job, open, controller.signal)
        .finally(() => {
          running.delete(job.id);
          advance();
        })
        .then(() => removeEnded(open.endedBefore(maxEnded), open));
      running.set(job.id, { controller, ended });
    }
  }

  return {
    async start() {
      await mkdir(folder, { recursive: true });
      const open = openJobStore(join(folder, RECORDS));
      store = open;
      // The server ended without a chance to say so.
      for (const { id } of open.inStates('running')) open.move(id, 'queued', { reason: 'The server ended while the job ran; it goes on.' });
      for (const { id } of open.inStates('cancelling')) open.move(id, 'cancelled', { reason: 'Cancelled by request.' });
      await removeOrphans(open);
      await removeEnded(open.endedBefore(maxEnded), open);
      advance();
    },
    async stop() {
      isStopping = true;
      stopped.abort();
      for (const { controller } of running.values()) controller.abort();
      await Promise.all([...running.values()].map(({ ended }) => ended));
      store?.close();
      store = undefined;
    },
    async submit({ kind, spec, priority = 0, idempotencyKey }) {
      const open = records();
      const same = idempotencyKey === undefined ? undefined : open.findByKey(kind, idempotencyKey);
      if (same !== undefined) {
        if (JSON.stringify(same.spec) === JSON.stringify(spec)) return same;
        throw new SlipwayError('IDEMPOTENCY_CONFLICT', `The job "${same.id}" has this idempotency key already, and another spec.`);
      }
      checkRoom(open);
      const { id } = open.add({ id: randomUUID(), kind, spec, priority, idempotencyKey });
      advance();
      return open.find(id)!;
    },
    list: (kind) => records().list(kind),
    describe,
    cancel(kind, id) {
      const job = describe(kind, id);
      const open = records();
      if (job.state === 'queued') open.move(id, 'cancelled', { reason: 'Cancelled by request.' });
      else if (job.state === 'running') {
        open.move(id, 'cancelling');
        running.get(id)?.controller.abort();
      }
      changes.emit(id);
      return open.find(id)!;
    },
    resume(kind, id) {
      const job = describe(kind, id);
      const open = records();
      if (job.state !== 'cancelled' && job.state !== 'failed') {
        throw new SlipwayError('JOB_NOT_RESUMABLE', `The job "${id}" is ${job.state}; only a cancelled or failed one can be resumed.`);
      }
      checkRoom(open);
      open.move(id, 'queued');
      changes.emit(id);
      advance();
      return open.find(id)!;
    },
    async remove(kind, id) {
      const job = describe(kind, id);
      if (!hasEnded(job))
        throw new SlipwayError('JOB_NOT_ENDED', `The job "${id}" is ${job.state}; only one that has ended can be deleted.`);
      await removeEnded([id], records());
    },
    async *events(kind, id, after, signal) {
      describe(kind, id);
      // Listens before it reads, so that nothing falls in between.
      const wakes = on(changes, id, { signal: AbortSignal.any([signal, stopped.signal]) });
      let last = after;
      try {
        for (;;) {
          if (store === undefined) return;
          const ended = hasEnded(describe(kind, id));
          let page: JobEvent[];
          do {
            page = records().events(id, last, PAGE);
            for (const event of page) {
              last = event.id;
              yield event;
            }
          } while (page.length === PAGE);
          if (ended) return;
          await wakes.next();
        }
      } catch (error) {
        if (!signal.aborted && !isStopping) throw error;
      } finally {
        await wakes.return?.();
      }
    },
  };
}
