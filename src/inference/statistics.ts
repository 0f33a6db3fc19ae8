import type { ErrorCode } from '../errors/catalogue.ts';
import { toSlipwayError } from '../errors/slipway-error.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import { createHistogram, type Histogram } from './histogram.ts';
import type { CacheOutcome } from './response-cache.ts';
import type { Inference, InferenceResponse, PhaseTimes } from './types.ts';

/** How often something happened and how long it took altogether, in nanoseconds. */
export interface DurationCount {
  readonly count: number;
  readonly ns: number;
}

/** The parts of a request's time, in their order. */
export const PHASES = ['decode', 'queue', 'compute', 'transfer', 'encode'] as const;

export type Phase = (typeof PHASES)[number];

export interface BatchStatistics {
  readonly compute: DurationCount;
  readonly transfer: DurationCount;
}

/** What one version has done since the server started. */
export interface VersionStatistics {
  /** End of the last request, in milliseconds since 1970; 0 when there was none. */
  readonly lastInferenceAt: number;
  /** A request with a batch of 8 counts 8. */
  readonly inferenceCount: number;
  /** Runs of the engine. */
  readonly executionCount: number;
  readonly success: DurationCount;
  readonly fail: DurationCount;
  readonly queue: DurationCount;
  readonly compute: DurationCount;
  /** The way to the runner and back; one cannot be told from the other. */
  readonly transfer: DurationCount;
  /** Requests that the response cache was asked for, and the time that took. */
  readonly cache: Readonly<Record<CacheOutcome, DurationCount>>;
  /** Runs of the engine by their batch size. */
  readonly batches: ReadonlyMap<number, BatchStatistics>;
  /** Of requests that were answered. */
  readonly phases: Readonly<Record<Phase, Histogram>>;
  /** Of requests that were answered: all of their phases. */
  readonly total: Histogram;
  /** Requests that reached the version and got an error, by its code. */
  readonly errors: ReadonlyMap<ErrorCode, number>;
}

/** Counts the requests of each version. */
export interface InferenceStatistics {
  /** @param batchSize of the request itself. */
  succeeded(model: string, version: number, batchSize: number, times: PhaseTimes, run: InferenceResponse['run']): void;
  /** A request that reached a version and got an error; `elapsedMs` is its time until then. */
  failed(model: string, version: number, elapsedMs: number, code: ErrorCode): void;
  /** What an answered request took at the edge, before and after the data plane, and in all. */
  atEdge(model: string, version: number, times: PhaseTimes, decodeMs: number, encodeMs: number): void;
  /** A request that got no version, by the code of its error. `model` is empty when there is no such model. */
  unanswered(model: string, code: ErrorCode): void;
  /** All zeros for a version that has had no request. */
  of(model: string, version: number): VersionStatistics;
  /** Every version that has had a request. */
  all(): readonly { readonly model: string; readonly version: number; readonly statistics: VersionStatistics }[];
  /** As counted by `unanswered`: by model, then code. */
  readonly refusals: ReadonlyMap<string, ReadonlyMap<ErrorCode, number>>;
}

/** Clients choose batch sizes, so only so many different ones are told apart for a version. */
const MOST_BATCH_SIZES = 256;

interface Duration {
  count: number;
  ns: number;
}

interface Counters {
  lastInferenceAt: number;
  inferenceCount: number;
  executionCount: number;
  readonly success: Duration;
  readonly fail: Duration;
  readonly queue: Duration;
  readonly compute: Duration;
  readonly transfer: Duration;
  readonly cache: Readonly<Record<CacheOutcome, Duration>>;
  readonly batches: Map<number, { readonly compute: Duration; readonly transfer: Duration }>;
  readonly phases: Readonly<Record<Phase, Histogram>>;
  readonly total: Histogram;
  readonly errors: Map<ErrorCode, number>;
}

function increment(counts: Map<ErrorCode, number>, code: ErrorCode): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}

function none(): Duration {
  return { count: 0, ns: 0 };
}

function createCounters(): Counters {
  return {
    lastInferenceAt: 0,
    inferenceCount: 0,
    executionCount: 0,
    success: none(),
    fail: none(),
    queue: none(),
    compute: none(),
    transfer: none(),
    cache: { hit: none(), shared: none(), miss: none() },
    batches: new Map(),
    phases: {
      decode: createHistogram(),
      queue: createHistogram(),
      compute: createHistogram(),
      transfer: createHistogram(),
      encode: createHistogram(),
    },
    total: createHistogram(),
    errors: new Map(),
  };
}

/** Whole nanoseconds, as the protocols send them; a double counts them exactly for 104 days of work. */
function add(duration: Duration, ms: number): void {
  duration.count += 1;
  duration.ns += Math.max(0, Math.round(ms * 1e6));
}

/** The size of the batch in a request: that of the first input whose first dimension the model leaves open; else 1. */
function batchSizeOf(inputs: NamedTensors, signature: Signature): number {
  for (const { name, shape } of signature.inputs) {
    if (shape?.[0] === -1) return inputs.get(name)?.shape[0] ?? 1;
  }
  return 1;
}

export function createInferenceStatistics(): InferenceStatistics {
  const models = new Map<string, Map<number, Counters>>();
  const refusals = new Map<string, Map<ErrorCode, number>>();

  function countersOf(model: string, version: number): Counters {
    let versions = models.get(model);
    if (versions === undefined) models.set(model, (versions = new Map()));
    let counters = versions.get(version);
    if (counters === undefined) versions.set(version, (counters = createCounters()));
    return counters;
  }

  return {
    succeeded(model, version, batchSize, { queueMs, computeMs, totalMs, cache }, { rows, leads }) {
      const counters = countersOf(model, version);
      const transferMs = totalMs - queueMs - computeMs - (cache?.ms ?? 0);
      counters.lastInferenceAt = Date.now();
      counters.inferenceCount += batchSize;
      if (leads) counters.executionCount += 1;
      add(counters.success, totalMs);
      if (cache !== undefined) add(counters.cache[cache.outcome], cache.ms);
      // What did not run has no time of a run, not one of zero.
      if (cache !== undefined && cache.outcome !== 'miss') return;
      add(counters.queue, queueMs);
      add(counters.compute, computeMs);
      add(counters.transfer, transferMs);
      counters.phases.queue.observe(queueMs);
      counters.phases.compute.observe(computeMs);
      counters.phases.transfer.observe(transferMs);
      if (!leads) return;
      let batch = counters.batches.get(rows);
      if (batch === undefined) {
        if (counters.batches.size === MOST_BATCH_SIZES) return;
        counters.batches.set(rows, (batch = { compute: none(), transfer: none() }));
      }
      add(batch.compute, computeMs);
      add(batch.transfer, transferMs);
    },
    failed(model, version, elapsedMs, code) {
      const counters = countersOf(model, version);
      counters.lastInferenceAt = Date.now();
      add(counters.fail, elapsedMs);
      increment(counters.errors, code);
    },
    atEdge(model, version, { totalMs }, decodeMs, encodeMs) {
      const { phases, total } = countersOf(model, version);
      total.observe(decodeMs + totalMs + encodeMs);
      phases.decode.observe(decodeMs);
      phases.encode.observe(encodeMs);
    },
    unanswered(model, code) {
      let codes = refusals.get(model);
      if (codes === undefined) refusals.set(model, (codes = new Map()));
      increment(codes, code);
    },
    all: () => [...models].flatMap(([model, versions]) => [...versions].map(([version, statistics]) => ({ model, version, statistics }))),
    refusals,
    of: (model, version) => models.get(model)?.get(version) ?? createCounters(),
  };
}

/** The same data plane, with its requests counted. */
export function withStatistics<T extends Inference>(inference: T, statistics: InferenceStatistics): T {
  return {
    ...inference,
    async predict(version, request) {
      const startedAt = performance.now();
      try {
        const response = await inference.predict(version, request);
        statistics.succeeded(
          response.model,
          response.version,
          batchSizeOf(request.inputs, version.signature),
          response.times,
          response.run,
        );
        return response;
      } catch (error) {
        statistics.failed(version.model, version.version, performance.now() - startedAt, toSlipwayError(error).code);
        throw error;
      }
    },
    resolve(reference, requester, patience) {
      const refused = (error: unknown): never => {
        const { code } = toSlipwayError(error);
        // Clients choose names: those of no model must not become labels.
        statistics.unanswered(code === 'MODEL_NOT_FOUND' ? '' : reference.model, code);
        throw error;
      };
      try {
        const resolved = inference.resolve(reference, requester, patience);
        return resolved instanceof Promise ? resolved.catch(refused) : resolved;
      } catch (error) {
        return refused(error);
      }
    },
  };
}
