import type { Runner } from '../runners/runner.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import { fitTogether, joinInputs, splitOutputs, unbatchableReason, type Work } from './batch.ts';
import { compareOutputs } from './compare-outputs.ts';
import { type CostFit, createCostLine } from './cost-line.ts';

export interface BatchingSettings {
  /** Most rows of a batch; 1 turns batching off. */
  readonly maxBatchSize: number;
  /** Batches are made no larger than what takes about this long, in milliseconds. */
  readonly batchLatencyMs: number;
}

/** The answer to one request, and the run that it was part of. */
export interface Outcome {
  readonly outputs: NamedTensors;
  /** Time inside the engine of the whole run, in milliseconds. */
  readonly computeMs: number;
  /** Rows of the whole run. */
  readonly batchRows: number;
  /** True for one request of each run, so that runs can be counted. */
  readonly leads: boolean;
}

/** `proving`: batches are run beside single requests and compared, until enough were the same. */
export type BatchingState = 'off' | 'proving' | 'on';

export interface BatchingDescription {
  readonly state: BatchingState;
  /** Why, in words. */
  readonly reason: string;
  /** Whether the batches that were compared gave the same bits as single requests; undefined before any was. */
  readonly exact: boolean | undefined;
  readonly fit: CostFit | undefined;
  /** Most rows of the next batch. */
  readonly maxRows: number;
  /** The latest runs, the last one first. */
  readonly recent: readonly RunRecord[];
}

/** One run of the engine. */
export interface RunRecord {
  readonly requests: number;
  readonly rows: number;
  /** From its start to its answer. */
  readonly ms: number;
}

/** Puts the requests of one runner together into batches and takes the answers apart. */
export interface Batcher {
  describe(): BatchingDescription;
  /** What goes to the runner next: the first of those that wait and others that fit to it, in their order. */
  select<Entry extends { readonly item: Work }>(waiting: Iterable<Entry>): Entry[];
  /** Runs what `select` gave. One promise for each; a batch that fails is run again one by one, so that it fails alone. */
  run(batch: readonly Work[]): Promise<Outcome>[];
  /** About how long this many rows will take, in milliseconds; 0 when nothing was measured yet. */
  drainMs(rows: number): number;
  /** Rows up to which that holds for one request: those of the largest batch. */
  mostRows(): number;
}

/** A model is taken to give each row its own answer once so many batches gave the same as single requests. */
const PROOFS = 3;

/** Requests that are not batched go to the runner together, as many as take about this long. */
const AHEAD_MS = 5;

/** Runs that are remembered. */
const RECENT = 20;

const MAX_AHEAD = 16;

/** Errors of the request or the engine's run; others are of the runner and hold for each request alike. */
function isOfTheRun(error: unknown): boolean {
  return (
    error instanceof SlipwayError &&
    error.code !== 'RUNNER_CRASHED' &&
    error.code !== 'RUNNER_UNRESPONSIVE' &&
    error.code !== 'MODEL_NOT_READY'
  );
}

/** @param settings asked for each time, since they may change. */
export function createBatcher(runner: Runner, signature: Signature, settings: () => BatchingSettings): Batcher {
  const recent: RunRecord[] = [];
  const costs = createCostLine();
  /** Why the model itself cannot be batched. */
  let refused = unbatchableReason(signature);
  let proofs = 0;
  let exact: boolean | undefined;

  function stateOf(): BatchingState {
    if (refused !== undefined || settings().maxBatchSize === 1) return 'off';
    return proofs < PROOFS ? 'proving' : 'on';
  }

  function reasonOf(): string {
    if (settings().maxBatchSize === 1) return 'Turned off by its settings.';
    if (refused !== undefined) return `Requests are run one by one: ${refused}.`;
    if (proofs < PROOFS) return `${proofs} of ${PROOFS} batches were compared with single requests.`;
    return exact === true
      ? 'Requests that wait are run together; batches gave the same bits as single requests.'
      : 'Requests that wait are run together; batches gave the same as single requests but for rounding.';
  }

  const maxRows = (): number => costs.rowsWithin(settings().batchLatencyMs, settings().maxBatchSize);

  function remember(record: RunRecord): void {
    recent.push(record);
    if (recent.length > RECENT) recent.shift();
  }

  /** @param isOnly whether nothing else is in the runner, so that the time until the answer is that of the run. */
  async function runAlone(work: Work, isOnly: boolean): Promise<Outcome> {
    const startedAt = performance.now();
    const { outputs, computeNs } = await runner.run(work.inputs, work.outputs);
    const rows = Math.max(1, work.rows);
    const ms = isOnly ? performance.now() - startedAt : computeNs / 1e6;
    costs.add(rows, ms);
    remember({ requests: 1, rows, ms });
    return { outputs, computeMs: computeNs / 1e6, batchRows: rows, leads: true };
  }

  /** The batch and its answers apart; undefined when it can't be taken apart. */
  async function runTogether(batch: readonly Work[]): Promise<Outcome[] | undefined> {
    const startedAt = performance.now();
    const { outputs, computeNs } = await runner.run(joinInputs(batch), batch[0]!.outputs);
    const rows = batch.reduce((sum, work) => sum + work.rows, 0);
    const ms = performance.now() - startedAt;
    costs.add(rows, ms);
    remember({ requests: batch.length, rows, ms });
    const parts = splitOutputs(outputs, batch);
    if (typeof parts === 'string') {
      refused = `its output "${parts}" does not have a row for each row of the inputs`;
      return undefined;
    }
    return parts.map((part, index) => ({ outputs: part, computeMs: computeNs / 1e6, batchRows: rows, leads: index === 0 }));
  }

  function each(batch: readonly Work[], all: Promise<readonly Outcome[] | undefined>): Promise<Outcome>[] {
    return batch.map(async (work, index) => {
      let outcomes: readonly Outcome[] | undefined;
      try {
        outcomes = await all;
      } catch (error) {
        if (!isOfTheRun(error)) throw error;
      }
      return outcomes?.[index] ?? runAlone(work, false);
    });
  }

  /** Runs a batch beside its single requests, which are the answers, and compares. */
  function prove(batch: readonly Work[]): Promise<Outcome>[] {
    const together = runTogether(batch).catch(() => undefined);
    const alone = batch.map((work) => runAlone(work, false));
    void Promise.all([together, Promise.allSettled(alone)]).then(([outcomes, singles]) => {
      if (outcomes === undefined) return;
      for (const [index, single] of singles.entries()) {
        // A request that fails alone says nothing of the others.
        if (single.status === 'rejected') return;
        const difference = compareOutputs(outcomes[index]!.outputs, single.value.outputs);
        exact = (exact ?? true) && difference.exact;
        if (!difference.close) {
          refused ??= 'a batch gave other answers than its requests one by one, so the rows of the model depend on each other';
          return;
        }
      }
      proofs += 1;
    });
    return alone;
  }

  return {
    describe: () => ({ state: stateOf(), reason: reasonOf(), exact, fit: costs.fit, maxRows: maxRows(), recent: recent.toReversed() }),
    select<Entry extends { readonly item: Work }>(waiting: Iterable<Entry>): Entry[] {
      const chosen: Entry[] = [];
      const off = stateOf() === 'off';
      const room = off ? costs.rowsWithin(AHEAD_MS, MAX_AHEAD) : maxRows();
      let rows = 0;
      for (const entry of waiting) {
        // One by one requests are counted, in a batch their rows.
        const size = off ? 1 : entry.item.rows;
        const first = chosen[0];
        if (first !== undefined && !off && (size === 0 || !fitTogether(first.item, entry.item))) continue;
        if (first !== undefined && rows + size > room) break;
        chosen.push(entry);
        rows += size;
        if (rows >= room || size === 0) break;
      }
      return chosen;
    },
    run(batch) {
      const state = stateOf();
      if (batch.length === 1 || state === 'off') return batch.map((work) => runAlone(work, batch.length === 1));
      return state === 'proving' ? prove(batch) : each(batch, runTogether(batch));
    },
    mostRows: maxRows,
    drainMs(rows) {
      const most = maxRows();
      const full = Math.floor(rows / most);
      const rest = rows - full * most;
      return full * (costs.estimate(most) ?? 0) + (rest === 0 ? 0 : (costs.estimate(rest) ?? 0));
    },
  };
}
