import { createHash } from 'node:crypto';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { ReadyVersion } from '../registry/types.ts';
import type { Completion, Work } from '../scheduler/types.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

/** Where an answer came from: memory, the run of an equal request that was under way, or a run of its own. */
export type CacheOutcome = 'hit' | 'shared' | 'miss';

export interface CacheTimes {
  readonly outcome: CacheOutcome;
  /** In the cache, the wait for an equal request included, in milliseconds. */
  readonly ms: number;
}

export interface CachedCompletion extends Completion {
  /** Undefined for a model whose answers are not kept. */
  readonly cache?: CacheTimes | undefined;
}

export interface ResponseCacheStatistics {
  readonly outcomes: Readonly<Record<CacheOutcome, number>>;
  readonly entries: number;
  readonly bytes: number;
  /** Answers that left because the room was needed. */
  readonly evictions: number;
}

/** Keeps answers, so that an equal request to the same version needs no run. */
export interface ResponseCache {
  /**
   * Answers from memory, by the run of an equal request that is under way, or else by `run`. A request that waits for
   * another one keeps its own deadline and signal, and does not share that one's.
   * @throws SlipwayError DEADLINE_EXCEEDED, REQUEST_CANCELLED and what `run` throws.
   */
  complete(version: ReadyVersion, work: Work, run: () => Promise<Completion>): Promise<CachedCompletion>;
  /** Drops the answers of a version that leaves or changes. */
  forget(model: string, version: number): void;
  readonly statistics: ResponseCacheStatistics;
}

interface Entry {
  readonly outputs: NamedTensors;
  readonly bytes: number;
  readonly owner: Owner;
}

interface Flight {
  readonly priority: number;
  readonly done: Promise<Completion>;
}

/** One loaded version. What it answered is never told for another one, not even for the same version loaded again. */
interface Owner {
  readonly version: ReadyVersion;
  readonly id: number;
  readonly keys: Set<string>;
  readonly flights: Map<string, Flight>;
}

/** What an entry takes beside the data of its tensors: the key, two tables and some objects. Measured roughly. */
const ENTRY_BYTES = 1_000;

/** Node's timers take no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Failures of the request that ran, which say nothing about an equal one: a full queue lets in by client and priority. */
const OWN_FAILURES: ReadonlySet<string> = new Set(['REQUEST_CANCELLED', 'DEADLINE_EXCEEDED', 'DEADLINE_UNREACHABLE', 'QUEUE_FULL']);

/** SHA-256 of all that an answer depends on; lengths come first, so that no two requests are written alike. */
export function requestDigest(inputs: NamedTensors, outputs: readonly string[]): string {
  const named = [...inputs].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256');
  const head = named.map(([name, { dtype, shape, data }]) => [
    name,
    dtype,
    shape,
    ArrayBuffer.isView(data) ? data.byteLength : data.map((each) => each.byteLength),
  ]);
  const text = JSON.stringify([outputs, head]);
  hash.update(`${text.length} ${text}`);
  for (const [, { data }] of named) {
    for (const part of ArrayBuffer.isView(data) ? [data] : data) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  }
  return hash.digest('base64');
}

/** Tensors are often windows on a buffer of many requests: only what is theirs is kept. A Buffer's `slice` would copy nothing. */
function copyOf({ dtype, shape, data }: Tensor): Tensor {
  return { dtype, shape, data: ArrayBuffer.isView(data) ? data.slice() : data.map((each) => new Uint8Array(each)) };
}

function bytesOf(outputs: NamedTensors): number {
  let bytes = ENTRY_BYTES;
  for (const { data } of outputs.values())
    bytes += ArrayBuffer.isView(data) ? data.byteLength : data.reduce((sum, each) => sum + each.byteLength + 100, 0);
  return bytes;
}

/** Waits for what another request does, as long as this one may. Whatever comes later is not heard. */
function patiently<T>(result: Promise<T>, { deadline, signal }: Work): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new SlipwayError('DEADLINE_EXCEEDED', 'The request was not answered within its time.'));
    const gone = (): void => reject(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the answer.'));
    const timer = setTimeout(late, Math.min(MAX_TIMER_MS, Math.max(0, deadline - performance.now())));
    timer.unref();
    if (signal?.aborted === true) gone();
    signal?.addEventListener('abort', gone, { once: true });
    result.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', gone);
    });
  });
}

/** @param maxBytes of all answers together; those not used for longest leave. */
export function createResponseCache(maxBytes: number): ResponseCache {
  /** By owner and digest; what was used last is last. */
  const entries = new Map<string, Entry>();
  const owners = new Map<string, Owner>();
  const outcomes: Record<CacheOutcome, number> = { hit: 0, shared: 0, miss: 0 };
  let bytes = 0;
  let evictions = 0;
  let lastId = 0;

  function drop(key: string, entry: Entry): void {
    entries.delete(key);
    entry.owner.keys.delete(key);
    bytes -= entry.bytes;
  }

  function forget(model: string, version: number): void {
    const name = `${model}/${version}`;
    const owner = owners.get(name);
    if (owner === undefined) return;
    owners.delete(name);
    for (const key of owner.keys) drop(key, entries.get(key)!);
  }

  function ownerOf(version: ReadyVersion): Owner {
    const name = `${version.model}/${version.version}`;
    const known = owners.get(name);
    if (known?.version === version) return known;
    forget(version.model, version.version);
    const owner: Owner = { version, id: (lastId += 1), keys: new Set(), flights: new Map() };
    owners.set(name, owner);
    return owner;
  }

  function keep(key: string, owner: Owner, outputs: NamedTensors): void {
    // It may have left while it ran.
    if (owners.get(`${owner.version.model}/${owner.version.version}`) !== owner) return;
    const size = bytesOf(outputs);
    if (size > maxBytes) return;
    const copies = new Map([...outputs].map(([name, tensor]) => [name, copyOf(tensor)]));
    const before = entries.get(key);
    if (before !== undefined) drop(key, before);
    entries.set(key, { outputs: copies, bytes: size, owner });
    owner.keys.add(key);
    bytes += size;
    for (const [oldest, entry] of entries) {
      if (bytes <= maxBytes) break;
      drop(oldest, entry);
      evictions += 1;
    }
  }

  return {
    async complete(version, work, run) {
      // Of a version the answers of one signature are kept, the one that is served.
      if (version.manifest.responseCache === false || version.signatureName !== undefined) return run();
      const startedAt = performance.now();
      const owner = ownerOf(version);
      const key = `${owner.id} ${requestDigest(work.inputs, work.outputs)}`;
      const from = (outcome: CacheOutcome, outputs: NamedTensors, batchRows: number): CachedCompletion => {
        outcomes[outcome] += 1;
        const ms = performance.now() - startedAt;
        return { outputs, queueMs: 0, computeMs: 0, batchRows, leads: false, cache: { outcome, ms } };
      };
      for (;;) {
        const entry = entries.get(key);
        if (entry !== undefined) {
          entries.delete(key);
          entries.set(key, entry);
          return from('hit', entry.outputs, 0);
        }
        const flight = owner.flights.get(key);
        // One that goes before others does not wait behind an equal one that doesn't.
        if (flight === undefined || work.priority < flight.priority) break;
        try {
          const done = await patiently(flight.done, work);
          return from('shared', done.outputs, done.batchRows);
        } catch (error) {
          const isOwn = error instanceof SlipwayError && OWN_FAILURES.has(error.code);
          if (!isOwn || work.signal?.aborted === true || work.deadline <= performance.now()) throw error;
        }
      }
      const lookedFor = performance.now() - startedAt;
      const done = run();
      const flight: Flight = { priority: work.priority, done };
      owner.flights.set(key, flight);
      try {
        const completion = await done;
        const keptFrom = performance.now();
        keep(key, owner, completion.outputs);
        outcomes.miss += 1;
        return { ...completion, cache: { outcome: 'miss', ms: lookedFor + performance.now() - keptFrom } };
      } finally {
        if (owner.flights.get(key) === flight) owner.flights.delete(key);
      }
    },
    forget,
    get statistics() {
      return { outcomes, entries: entries.size, bytes, evictions };
    },
  };
}
