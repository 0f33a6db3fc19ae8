import { SlipwayError, toSlipwayError } from '../errors/slipway-error.ts';
import type { Runner, RunResult } from '../runners/runner.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import { createAdmission } from './admission.ts';
import { describeBatchShape, splitObstacle, splitOutputs } from './batch.ts';
import { createCostLine } from './cost-line.ts';
import { createDeadlines, type Expiring } from './deadlines.ts';
import { createDecisions } from './decisions.ts';
import { createJoining } from './joining.ts';
import { createRunnerLoad } from './load.ts';
import { createLatencies } from './latencies.ts';
import type { Completion, Decision, Scheduler, SchedulerDescription, SchedulerSettings, Work } from './types.ts';
import { type Choice, createWaiting, type Waiter } from './waiting.ts';

export interface SchedulerOptions {
  readonly runner: Pick<Runner, 'run' | 'concurrency' | 'status' | 'onStatus'>;
  readonly signature: Signature;
  /** Read at each decision, so that changes hold at once. */
  readonly settings: () => SchedulerSettings;
  /** The clock, in milliseconds; `performance.now` unless a test has its own. */
  readonly now?: () => number;
  /** Calls back at the end of this turn of the event loop; `setImmediate` unless a test has its own. */
  readonly atEndOfTurn?: (callback: () => void) => void;
}

interface Entry extends Waiter, Expiring {
  readonly work: Work;
  readonly rows: number;
  readonly key: string;
  readonly submittedAt: number;
  readonly resolve: (completion: Completion) => void;
  readonly reject: (error: SlipwayError) => void;
  readonly onAbort: () => void;
  settled: boolean;
}

/** What was sent to the runner can't be taken back, so only about this much work is sent ahead, in milliseconds. */
const AHEAD_MS = 5;
/** A dispatch that was planned for the end of the turn is not put off for longer, in milliseconds: turns can be long. */
const OVERDUE_MS = 5;
/** Requests that are not joined are sent so many at a time: to wake another process costs more than to parse a request. */
const MOST_RUNS_AHEAD = 16;
/** A batch is large enough once all but this share of its time is work that no batch saves. */
const EFFICIENCY_REST = 0.05;
/** A model that takes long for a single request may take so many times as long for a batch. */
const MOST_SINGLES = 4;
/** Bytes of a batch beyond one request: more would save nothing and hold the memory twice. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** Waiting requests that are looked at for one batch. */
const MOST_LOOKED = 4_096;

/**
 * The queue in front of one runner. While the runner works, requests gather; when it is free, those that can run together
 * do. A request that meets an idle runner waits for nothing but the end of this turn of the event loop: what has arrived
 * with it goes along.
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { runner, signature, settings, now = () => performance.now(), atEndOfTurn = setImmediate } = options;
  const shape = describeBatchShape(signature);
  const cost = createCostLine(now);
  const load = createRunnerLoad(cost, () => runner.concurrency, now);
  const joining = createJoining(shape, settings, (parts, outputs) =>
    run(
      parts,
      outputs,
      parts.reduce((size, inputs) => size + shape.sizeOf(inputs, shape.rowsOf(inputs)), 0),
    ),
  );
  const waiting = createWaiting<Entry>();
  const admission = createAdmission({ waiting, load, targetSize, settings, now });
  const decisions = createDecisions();
  const latencies = createLatencies();
  const deadlines = createDeadlines<Entry>({ now, onExpired });
  const counts = { expired: 0, cancelled: 0 };
  let dispatchPlanned = false;
  let plannedAt = 0;

  /** The largest batch that pays and stays inside its budget, in the unit of the cost line. */
  function targetSize(): number {
    // Each batch may be twice as large as any before, so that a guess from small ones is never far out.
    const known = Math.max(1, 2 * cost.largest);
    if (!cost.fitted) return known;
    const { batchLatencyMs } = settings();
    const { overheadMs } = load;
    const overhead = Number.isNaN(overheadMs) ? 0 : overheadMs;
    const efficient = cost.sizeAtEfficiency(EFFICIENCY_REST) + (overhead * (1 - EFFICIENCY_REST)) / (EFFICIENCY_REST * cost.perUnitMs);
    const withinMs = Math.max(batchLatencyMs, MOST_SINGLES * cost.predict(cost.smallest));
    return Math.max(1, Math.floor(Math.min(known, efficient, cost.sizeWithin(withinMs))));
  }

  function settle(entry: Entry): boolean {
    if (entry.settled) return false;
    entry.settled = true;
    deadlines.remove(entry);
    entry.work.signal?.removeEventListener('abort', entry.onAbort);
    return true;
  }

  function fail(entry: Entry, error: SlipwayError): void {
    waiting.remove(entry);
    if (settle(entry)) entry.reject(error);
  }

  function onExpired(entry: Entry): void {
    counts.expired += 1;
    fail(entry, new SlipwayError('DEADLINE_EXCEEDED', 'The request was not answered within its time.'));
  }

  function answer(entry: Entry, completion: Completion): void {
    if (!settle(entry)) return;
    latencies.add(now() - entry.submittedAt);
    entry.resolve(completion);
  }

  /** Takes the next batch out of the queue. */
  function nextBatch(): { entries: Entry[]; reason: string } | undefined {
    const time = now();
    let head = waiting.peek();
    // What cannot be answered in time any more is dropped before it costs anything.
    const known = load.isKnown;
    while (head !== undefined && head.work.deadline < time + (known ? load.predict(head.size) : 0)) {
      onExpired(head);
      head = waiting.peek();
    }
    if (head === undefined) return undefined;
    if (!joining.allowed || head.rows === 0) {
      return {
        entries: waiting.take((entry) => (entry === head ? 'take' : 'stop'), MOST_LOOKED),
        reason: joining.allowed ? 'its inputs have no rows in common' : 'requests are not joined',
      };
    }
    const { maxBatchSize } = settings();
    const target = targetSize();
    let rows = 0;
    let size = 0;
    let bytes = 0;
    let earliest = Infinity;
    let reason = 'nothing else waited';
    const choose = (entry: Entry): Choice => {
      if (entry.key !== head.key || entry.rows === 0) {
        reason = 'the others have other shapes or outputs';
        return 'leave';
      }
      const deadline = Math.min(earliest, entry.work.deadline);
      const own = bytesOf(entry.work.inputs);
      if (rows > 0) {
        const full =
          size + entry.size > target
            ? 'a larger batch would not pay'
            : rows + entry.rows > maxBatchSize
              ? 'the model’s settings allow no more rows'
              : bytes + own > MAX_BATCH_BYTES
                ? 'a larger batch would take too much memory'
                : undefined;
        if (full !== undefined) {
          reason = full;
          return 'stop';
        }
        if (time + load.predict(size + entry.size) > deadline) {
          reason = 'a larger batch would be too late for one of its requests';
          return 'leave';
        }
      }
      rows += entry.rows;
      size += entry.size;
      bytes += own;
      earliest = deadline;
      return 'take';
    };
    return { entries: waiting.take(choose, MOST_LOOKED), reason };
  }

  /** Whether the runner may be sent more now. */
  function maySend(): boolean {
    const { concurrency } = runner;
    if (load.runs < concurrency) return true;
    if (cost.observations === 0 || load.remainingMs() > AHEAD_MS) return false;
    // A second batch goes ahead of time only when it is as large as it would ever be.
    if (joining.allowed) return load.runs < 2 * concurrency && waiting.size >= targetSize();
    return load.runs < MOST_RUNS_AHEAD * concurrency;
  }

  function dispatch(): void {
    // While the runner's process is started again, what waits goes on waiting.
    if (runner.status.state === 'restarting') return;
    while (waiting.count > 0 && maySend()) {
      const batch = nextBatch();
      if (batch === undefined) return;
      void runBatch(batch.entries, batch.reason);
    }
  }

  function planDispatch(): void {
    if (waiting.count === 0) return;
    if (dispatchPlanned) {
      if (now() - plannedAt > OVERDUE_MS) {
        plannedAt = now();
        dispatch();
      }
      return;
    }
    dispatchPlanned = true;
    plannedAt = now();
    atEndOfTurn(() => {
      dispatchPlanned = false;
      dispatch();
    });
  }

  /** Every run goes through here, trials and repetitions too, so that the runner is never thought to be less busy than it is. */
  async function run(parts: readonly NamedTensors[], outputs: readonly string[], size: number): Promise<RunResult> {
    const ended = load.begin(size);
    let computeMs: number | undefined;
    try {
      const result = await runner.run(parts, outputs);
      computeMs = result.computeNs / 1e6;
      return result;
    } finally {
      ended(computeMs, waiting.count > 0);
      planDispatch();
    }
  }

  async function runBatch(entries: readonly Entry[], reason: string): Promise<void> {
    const time = now();
    const [head] = entries;
    let rows = 0;
    let size = 0;
    for (const entry of entries) {
      rows += entry.rows;
      size += entry.size;
    }
    const predictedMs = load.predict(size);
    const decision: { -readonly [Key in keyof Decision]: Decision[Key] } = {
      at: Date.now(),
      requests: entries.length,
      rows,
      size,
      waitedMs: time - head!.submittedAt,
      left: waiting.count,
      predictedMs: Number.isNaN(predictedMs) ? undefined : predictedMs,
      computeMs: undefined,
      reason,
    };
    decisions.add(decision);
    let result: RunResult;
    try {
      result = await run(
        entries.map(({ work }) => work.inputs),
        head!.work.outputs,
        size,
      );
    } catch (error) {
      onRunFailed(entries, toSlipwayError(error));
      return;
    }
    decision.computeMs = result.computeNs / 1e6;
    deliver(entries, rows, result, time, decision);
  }

  function deliver(entries: readonly Entry[], rows: number, { outputs, computeNs }: RunResult, sentAt: number, batch: Decision): void {
    const [head] = entries;
    const computeMs = computeNs / 1e6;
    if (entries.length === 1) {
      answer(head!, { outputs, queueMs: sentAt - head!.submittedAt, computeMs, batchRows: rows, leads: true });
      if (joining.wantsTrial && waiting.count > 0) void joining.tryWith(head!.work.inputs, head!.work.outputs, outputs);
      return;
    }
    const obstacle = splitObstacle(outputs, rows);
    if (obstacle !== undefined) {
      joining.refuse(obstacle);
      void rerunAlone(entries);
      return;
    }
    const parts = splitOutputs(
      outputs,
      entries.map((entry) => entry.rows),
    );
    for (const [index, entry] of entries.entries()) {
      answer(entry, { outputs: parts[index]!, queueMs: sentAt - entry.submittedAt, computeMs, batchRows: rows, leads: index === 0, batch });
    }
  }

  function onRunFailed(entries: readonly Entry[], error: SlipwayError): void {
    // A runner that is gone took all of them with it; any other failure may be the fault of one.
    if (entries.length === 1 || error.kind === 'unavailable') {
      for (const entry of entries) fail(entry, error);
      return;
    }
    void rerunAlone(entries).then((failed) => {
      if (failed === 0) joining.failedTogether(error.message);
    });
  }

  /** Runs each request of a batch alone. @returns how many of them failed. */
  async function rerunAlone(entries: readonly Entry[]): Promise<number> {
    let failed = 0;
    for (const entry of entries) {
      if (entry.settled) continue;
      const sentAt = now();
      try {
        const { outputs, computeNs } = await run([entry.work.inputs], entry.work.outputs, entry.size);
        answer(entry, { outputs, queueMs: sentAt - entry.submittedAt, computeMs: computeNs / 1e6, batchRows: entry.rows, leads: true });
      } catch (error) {
        failed += 1;
        fail(entry, toSlipwayError(error));
      }
    }
    return failed;
  }

  runner.onStatus(() => planDispatch());

  function submit(work: Work): Promise<Completion> {
    const { inputs, outputs, signal } = work;
    if (signal?.aborted === true) return Promise.reject(cancelled());
    const rows = shape.rowsOf(inputs);
    const size = shape.sizeOf(inputs, rows);
    const refusal = admission.admit({ priority: work.priority, client: work.client, size, deadline: work.deadline });
    if (refusal.error !== undefined) return Promise.reject(refusal.error);
    if (refusal.instead !== undefined) fail(refusal.instead, admission.full(refusal.instead));
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        work,
        rows,
        size,
        key: shape.keyOf(inputs, outputs),
        priority: work.priority,
        client: work.client,
        submittedAt: now(),
        resolve,
        reject,
        onAbort() {
          counts.cancelled += 1;
          fail(entry, cancelled());
        },
        deadline: work.deadline,
        deadlineIndex: -1,
        gone: false,
        settled: false,
      };
      signal?.addEventListener('abort', entry.onAbort, { once: true });
      deadlines.add(entry);
      waiting.add(entry);
      planDispatch();
    });
  }

  function describe(): SchedulerDescription {
    const orUndefined = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);
    const { recent } = decisions;
    const { state, reason, exact } = joining;
    return {
      batching: { state, reason, exact },
      fit: {
        unit: shape.unit,
        perUnitMs: orUndefined(cost.perUnitMs),
        fixedMs: orUndefined(cost.fixedMs),
        overheadMs: orUndefined(load.overheadMs),
        runs: cost.observations,
        samples: cost.samples,
      },
      targetSize: cost.observations === 0 ? undefined : orUndefined(targetSize()),
      queue: { depth: waiting.count, waitMs: admission.predictedWaitMs(), inFlight: load.runs },
      latency: latencies.percentiles(),
      predictedP99Ms: orUndefined(2 * load.predict(Math.max(0, ...recent.map(({ size }) => size)))),
      dropped: { ...admission.refused, ...counts },
      decisions: recent,
    };
  }

  return { submit, describe };
}

function cancelled(): SlipwayError {
  return new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.');
}

/** Bytes of inputs, but for byte strings, which are counted as pointers to them. */
function bytesOf(inputs: NamedTensors): number {
  let bytes = 0;
  for (const { data } of inputs.values()) bytes += ArrayBuffer.isView(data) ? data.byteLength : data.length * 8;
  return bytes;
}
