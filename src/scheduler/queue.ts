import { SlipwayError } from '../errors/slipway-error.ts';

export interface QueueOptions<Item, Value> {
  /** Requests that may wait; one more is refused with QUEUE_FULL. */
  readonly maxDepth: () => number;
  /** What goes to the runner next: some of those that wait, the first of them included. */
  readonly select: <Entry extends { readonly item: Item }>(waiting: Iterable<Entry>) => readonly Entry[];
  /** Runs what was selected: one promise for each. */
  readonly run: (items: readonly Item[]) => readonly Promise<Value>[];
  /** About how long the runner takes for items with so many rows, in milliseconds; 0 when that is not known yet. */
  readonly drainMs: (rows: number) => number;
  /**
   * Rows up to which `drainMs` holds for a single item. One of more is counted as so many: what it takes is not known, and
   * a refusal must be sure.
   */
  readonly mostRows: () => number;
  /** The clock, in milliseconds; `performance.now` unless a test has its own. */
  readonly now?: () => number;
}

export interface Submission {
  /** Moment by which the answer must be there, on the `performance.now()` clock. */
  readonly deadline: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal | undefined;
  /** Lower goes first. Equal ones go in the order of their arrival. */
  readonly priority: number;
}

export interface Completion<Value> {
  readonly value: Value;
  /** Time between submission and start, in milliseconds. */
  readonly queueMs: number;
}

/**
 * The bounded queue in front of one runner. While the runner works, requests gather; when it has answered, as many as go
 * together are sent to it at once. A request that meets an idle runner waits for no other.
 */
export interface Queue<Item, Value> {
  readonly depth: number;
  /** About how long it takes until a request that comes now is begun, in milliseconds. */
  readonly waitMs: number;
  /**
   * Runs an item when its turn comes. One whose turn would come too late is refused at once. One that expires or is
   * aborted while it waits never reaches the runner; one that expires while it runs is answered at once, and its result is
   * dropped.
   * @throws SlipwayError QUEUE_FULL, DEADLINE_UNREACHABLE, DEADLINE_EXCEEDED, REQUEST_CANCELLED, and what `run` throws.
   */
  submit(item: Item, submission: Submission): Promise<Completion<Value>>;
}

interface Sized {
  /** By which the time of its run is told. */
  readonly rows: number;
}

/** Time over which a full queue is assumed to make room when nothing was measured yet, in milliseconds. */
const UNMEASURED_RETRY_MS = 1_000;

/** What waits, by priority. A Set keeps the order of insertion and removes from the middle in O(1). */
function createWaiting<Entry>(): {
  readonly size: number;
  add(entry: Entry, priority: number): void;
  delete(entry: Entry, priority: number): boolean;
  [Symbol.iterator](): Iterator<Entry>;
} {
  /** In ascending order of priority. Most servers see one priority only. */
  const levels: { readonly priority: number; readonly entries: Set<Entry> }[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(entry, priority) {
      let level = levels.find((each) => each.priority === priority);
      if (level === undefined) {
        level = { priority, entries: new Set() };
        levels.push(level);
        levels.sort((a, b) => a.priority - b.priority);
      }
      level.entries.add(entry);
      size += 1;
    },
    delete(entry, priority) {
      const index = levels.findIndex((each) => each.priority === priority);
      const level = levels[index];
      if (level?.entries.delete(entry) !== true) return false;
      size -= 1;
      // Clients choose priorities, so those that nobody uses must not pile up.
      if (level.entries.size === 0) levels.splice(index, 1);
      return true;
    },
    *[Symbol.iterator]() {
      for (const { entries } of levels) yield* entries;
    },
  };
}

export function createQueue<Item extends Sized, Value>(options: QueueOptions<Item, Value>): Queue<Item, Value> {
  const { maxDepth, select, run, drainMs, mostRows, now = () => performance.now() } = options;

  interface Entry {
    readonly item: Item;
    readonly priority: number;
    /** Those that count. */
    readonly rows: number;
    settle(outcome: Promise<Value>, startedAt: number): void;
  }

  const waiting = createWaiting<Entry>();
  let waitingRows = 0;
  let running = 0;
  let runningRows = 0;
  let startedAt = 0;
  let starting = false;

  function leave(entry: Entry): void {
    if (waiting.delete(entry, entry.priority)) waitingRows -= entry.rows;
  }

  function startNext(): void {
    if (waiting.size === 0) return;
    const next = select(waiting);
    startedAt = now();
    running = next.length;
    runningRows = 0;
    for (const entry of next) {
      leave(entry);
      runningRows += entry.rows;
    }
    for (const [index, outcome] of run(next.map(({ item }) => item)).entries()) next[index]!.settle(outcome, startedAt);
  }

  /** At the end of this turn of the event loop, so that all requests that it brings go together. */
  function startSoon(): void {
    if (starting) return;
    starting = true;
    setImmediate(() => {
      starting = false;
      if (running === 0) startNext();
    });
  }

  function finished(): void {
    running -= 1;
    if (running === 0) startNext();
  }

  function waitMs(): number {
    const left = running === 0 ? 0 : Math.max(0, drainMs(runningRows) - (now() - startedAt));
    return left + drainMs(waitingRows);
  }

  function refusal(deadline: number, rows: number): SlipwayError | undefined {
    // Met an idle runner: nothing is gained by not trying.
    if (running === 0 && waiting.size === 0) return undefined;
    const wait = waitMs();
    if (waiting.size >= maxDepth()) {
      return new SlipwayError('QUEUE_FULL', `The queue of this model is full (${maxDepth()} requests wait).`, {
        retryAfterMs: Math.ceil(wait) || UNMEASURED_RETRY_MS,
      });
    }
    const late = now() + wait + drainMs(rows) - deadline;
    if (late <= 0) return undefined;
    return new SlipwayError(
      'DEADLINE_UNREACHABLE',
      `The answer would come after the request's time: ${waiting.size} requests wait, which takes about ${Math.ceil(wait)} ms.`,
      { retryAfterMs: Math.ceil(Math.min(late, wait)) },
    );
  }

  return {
    get depth() {
      return waiting.size;
    },
    get waitMs() {
      return waitMs();
    },
    submit(item, { deadline, signal, priority }) {
      const rows = Math.min(item.rows, mostRows());
      const refused = refusal(deadline, rows);
      if (refused !== undefined) return Promise.reject(refused);
      return new Promise((resolve, reject) => {
        const submittedAt = now();
        let settled = false;

        const settle = (act: () => void): void => {
          if (settled) return;
          settled = true;
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          act();
        };
        const giveUp = (error: SlipwayError): void => {
          leave(entry);
          settle(() => reject(error));
        };
        const onAbort = (): void => giveUp(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.'));

        const entry: Entry = {
          item,
          priority,
          rows,
          settle(outcome, begunAt) {
            outcome.then(
              (value) => {
                finished();
                settle(() => resolve({ value, queueMs: begunAt - submittedAt }));
              },
              (error: unknown) => {
                finished();
                settle(() => reject(error));
              },
            );
          },
        };

        const timer = setTimeout(
          () => giveUp(new SlipwayError('DEADLINE_EXCEEDED', 'The request was not answered within its time.')),
          Math.max(0, deadline - submittedAt),
        );
        if (signal?.aborted) return onAbort();
        signal?.addEventListener('abort', onAbort, { once: true });

        waiting.add(entry, priority);
        waitingRows += rows;
        if (running === 0) startSoon();
      });
    },
  };
}
