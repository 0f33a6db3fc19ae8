import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { EncodedError } from '../errors/encode.ts';
import { hasEnded, type Job, type JobEvent, type JobEventData, type JobKind, type JobState, TRANSITIONS } from './job.ts';

export interface NewJob {
  readonly id: string;
  readonly kind: JobKind;
  readonly spec: unknown;
  readonly priority: number;
  /** Names the request that submits it, so that the same request sent twice makes one job. */
  readonly idempotencyKey: string | undefined;
}

/** What may change in a job. */
export type JobChange = Partial<Pick<Job, 'reason' | 'error' | 'progress' | 'metrics' | 'result'>>;

/** The records of jobs, on disk. Every change is written before its call returns. */
export interface JobStore {
  add(job: NewJob): Job;
  find(id: string): Job | undefined;
  findByKey(kind: JobKind, key: string): Job | undefined;
  /** Newest first. */
  list(kind: JobKind): Job[];
  /** Those in any of these states, in the order in which the queue takes them. */
  inStates(...states: readonly JobState[]): Job[];
  /** Moves a job on, with an event of the type `state`. @throws Error when there is no such transition */
  move(id: string, state: JobState, change?: JobChange): Job;
  change(id: string, change: JobChange): Job;
  addEvent(id: string, type: string, data: JobEventData): JobEvent;
  /** Events with ids greater than `after`, in order, at most `limit`. */
  events(id: string, after: number, limit: number): JobEvent[];
  /** Takes away the oldest events of a job, but for those of the type `state`, until `kept` are left. */
  trimEvents(id: string, kept: number): void;
  /** Takes a job away with its events. */
  remove(id: string): void;
  /** Ids of the ended jobs of any kind but for the `kept` that ended last. */
  endedBefore(kept: number): string[];
  close(): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    idempotency_key TEXT,
    spec TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    error TEXT,
    progress REAL NOT NULL DEFAULT 0,
    metrics TEXT NOT NULL DEFAULT '{}',
    result TEXT,
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (kind, idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
  CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id),
    id INTEGER NOT NULL,
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
  ) STRICT, WITHOUT ROWID;
`;

type Row = Readonly<Record<string, SQLOutputValue>>;

function parsed(value: SQLOutputValue | undefined): unknown {
  return typeof value === 'string' ? JSON.parse(value) : undefined;
}

function textOf(value: SQLOutputValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function jobOf(row: Row): Job {
  return {
    id: row['id'] as string,
    kind: row['kind'] as JobKind,
    state: row['state'] as JobState,
    reason: row['reason'] as string,
    error: parsed(row['error']) as EncodedError | undefined,
    priority: row['priority'] as number,
    progress: row['progress'] as number,
    spec: parsed(row['spec']),
    metrics: parsed(row['metrics']) as Job['metrics'],
    result: parsed(row['result']),
    createdAt: row['created_at'] as string,
    startedAt: textOf(row['started_at']),
    endedAt: textOf(row['ended_at']),
    attempts: row['attempts'] as number,
  };
}

function eventOf(row: Row): JobEvent {
  return { id: row['id'] as number, type: row['type'] as string, at: row['at'] as string, data: parsed(row['data']) as JobEventData };
}

/** Opens the records, and makes them when there are none. */
export function openJobStore(path: string): JobStore {
  const database = new DatabaseSync(path);
  // A crash of the process loses nothing; one of the machine at most the last changes, never the rest.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;');
  database.exec(SCHEMA);
  const statements = {
    add: database.prepare('INSERT INTO jobs (id, kind, state, priority, idempotency_key, spec, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    find: database.prepare('SELECT * FROM jobs WHERE id = ?'),
    findByKey: database.prepare('SELECT * FROM jobs WHERE kind = ? AND idempotency_key = ?'),
    list: database.prepare('SELECT * FROM jobs WHERE kind = ? ORDER BY sequence DESC'),
    inState: database.prepare('SELECT * FROM jobs WHERE state IN (SELECT value FROM json_each(?)) ORDER BY priority DESC, sequence'),
    write: database.prepare(
      `UPDATE jobs SET state = ?, reason = ?, error = ?, progress = ?, metrics = ?, result = ?, started_at = ?, ended_at = ?, attempts = ?
       WHERE id = ?`,
    ),
    lastEvent: database.prepare('SELECT coalesce(max(id), 0) AS id FROM events WHERE job = ?'),
    addEvent: database.prepare('INSERT INTO events (job, id, type, at, data) VALUES (?, ?, ?, ?, ?)'),
    events: database.prepare('SELECT * FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?'),
    removeEvents: database.prepare('DELETE FROM events WHERE job = ?'),
    remove: database.prepare('DELETE FROM jobs WHERE id = ?'),
    // `ended_at` is null of all others.
    endedBefore: database.prepare('SELECT id FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, sequence DESC LIMIT -1 OFFSET ?'),
    trim: database.prepare("DELETE FROM events WHERE job = ? AND type <> 'state' AND id <= ?"),
  };

  function atomically<T>(work: () => T): T {
    database.exec('BEGIN IMMEDIATE');
    try {
      const value = work();
      database.exec('COMMIT');
      return value;
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  }

  function find(id: string): Job | undefined {
    const row = statements.find.get(id);
    return row === undefined ? undefined : jobOf(row);
  }

  function known(id: string): Job {
    const job = find(id);
    if (job === undefined) throw new Error(`there is no job ${id}`);
    return job;
  }

  function write(job: Job): Job {
    statements.write.run(
      job.state,
      job.reason,
      job.error === undefined ? null : JSON.stringify(job.error),
      job.progress,
      JSON.stringify(job.metrics),
      job.result === undefined ? null : JSON.stringify(job.result),
      job.startedAt ?? null,
      job.endedAt ?? null,
      job.attempts,
      job.id,
    );
    return job;
  }

  function addEvent(id: string, type: string, data: JobEventData): JobEvent {
    const last = statements.lastEvent.get(id)!['id'] as number;
    const event = { id: last + 1, type, at: new Date().toISOString(), data };
    statements.addEvent.run(id, event.id, type, event.at, JSON.stringify(data));
    return event;
  }

  return {
    add: ({ id, kind, spec, priority, idempotencyKey }) =>
      atomically(() => {
        statements.add.run(id, kind, 'queued', priority, idempotencyKey ?? null, JSON.stringify(spec), new Date().toISOString());
        addEvent(id, 'state', { state: 'queued', reason: '' });
        return known(id);
      }),
    find,
    findByKey(kind, key) {
      const row = statements.findByKey.get(kind, key);
      return row === undefined ? undefined : jobOf(row);
    },
    list: (kind) => statements.list.all(kind).map(jobOf),
    inStates: (...states) => statements.inState.all(JSON.stringify(states)).map(jobOf),
    move: (id, state, change = {}) =>
      atomically(() => {
        const job = known(id);
        if (!TRANSITIONS[job.state].includes(state)) throw new Error(`a job that is ${job.state} cannot become ${state}`);
        const now = new Date().toISOString();
        const moved: Job = {
          ...job,
          reason: '',
          error: undefined,
          ...change,
          state,
          startedAt: state === 'running' ? (job.startedAt ?? now) : job.startedAt,
          endedAt: hasEnded({ state }) ? now : undefined,
          attempts: job.attempts + (state === 'running' ? 1 : 0),
        };
        addEvent(id, 'state', { state, reason: moved.reason, ...(moved.error && { error: moved.error }) });
        return write(moved);
      }),
    change: (id, change) => atomically(() => write({ ...known(id), ...change })),
    addEvent: (id, type, data) => atomically(() => addEvent(id, type, data)),
    events: (id, after, limit) => statements.events.all(id, after, limit).map(eventOf),
    trimEvents(id, kept) {
      statements.trim.run(id, (statements.lastEvent.get(id)!['id'] as number) - kept);
    },
    remove: (id) =>
      atomically(() => {
        statements.removeEvents.run(id);
        statements.remove.run(id);
      }),
    endedBefore: (kept) => statements.endedBefore.all(kept).map((row) => row['id'] as string),
    close: () => database.close(),
  };
}
