import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { readVersionFolder, type VersionFolder } from '../packages/read-version.ts';
import type { TrustedKeys } from '../packages/signature.ts';
import type { LoadedInfo, Runner, RunnerLauncher, RunnerStatus } from '../runners/runner.ts';
import type { Lease, MemoryBudget, Tenant } from './memory/tenant.ts';
import type { Semaphore } from '../concurrency/semaphore.ts';
import { type Spread, wishesOf } from './placement.ts';
import { createInstance, type Instance } from './instance.ts';
import { inspectFolder } from './scan.ts';
import type { ReadyVersion, VersionDescription, VersionState } from './types.ts';
import { whileWanted } from './while-wanted.ts';

/** What a version was last loaded from; a difference means that it must be loaded again. */
export interface LoadSource extends Spread {
  /** Of the folder; undefined for whatever it is when the load begins. */
  readonly fingerprint: string | undefined;
}

export function isSameSpread(a: Spread, b: Spread): boolean {
  return a.threads === b.threads && a.instances === b.instances;
}

/** One version of a model: `loading → ready → draining → unloaded`, or `failed`. None of its methods but `demand` rejects. */
export interface Version {
  readonly version: number;
  readonly folder: string;
  readonly state: VersionState;
  readonly reason: string;
  /** What answers requests now; undefined unless the state is `ready`. */
  readonly answer: ReadyVersion | undefined;
  /** True while a runner serves or is being restarted. */
  readonly alive: boolean;
  /** True when the last load failed, also when an earlier one still serves. */
  readonly loadFailed: boolean;
  /** When a client may try again, in milliseconds, while the version loads. */
  readonly retryAfterMs: number;
  /** The last thing that was loaded, or tried; undefined when unloaded. */
  readonly source: LoadSource | undefined;
  /** Says that a load is to come; shown as `loading` when nothing else is to be said. */
  announce(reason: string): void;
  /**
   * Loads the folder in a new runner. One that serves already goes on until the new one is ready, and stays when the
   * new one fails. A load under way of another source is given up.
   */
  load(source: LoadSource): Promise<void>;
  /** Says what is to be loaded when it is demanded, and loads nothing by itself. */
  offer(source: LoadSource): void;
  /** True while it is not in memory and `demand` would bring it there, or does. */
  readonly onDemand: boolean;
  /** True while it is not in memory and nothing is loaded until it is demanded: its files need not be looked at before. */
  readonly resting: boolean;
  /** Loads what was offered, once for all who ask. @throws SlipwayError MODEL_TOO_LARGE; when it can't be loaded it is `failed`. */
  demand(): Promise<void>;
  /** Resolves when no load is under way. */
  settled(): Promise<void>;
  /** Gives up a load under way, lets the requests in flight end and unloads. `reason` is shown while and after. */
  drain(reason: string): Promise<void>;
  describe(): VersionDescription;
}

export interface VersionOptions {
  readonly model: string;
  readonly version: number;
  readonly folder: string;
  /** Why it is unloaded to begin with. */
  readonly reason: string;
  readonly launcher: RunnerLauncher;
  /** Longest wait for requests in flight, in milliseconds. */
  readonly drainMs: number;
  /** As in the registry's options. */
  readonly trustedKeys: TrustedKeys | undefined;
  /** Gives each load its room. */
  readonly budget: MemoryBudget;
  /** Whether it must stay in memory. */
  readonly isPinned: (version: Version) => boolean;
  /** Keeps the loads that start at once few. */
  readonly loadSlots: Semaphore;
  /** Called after each change of state or reason, and after a reload. */
  readonly onChange: (version: Version) => void;
}

/** A load that takes longer than this gives its slot to the next, in milliseconds: one that hangs must not stop others. */
const SLOT_MS = 10_000;
/** What a client is told to wait for a version that loads, in milliseconds. */
const LOADING_RETRY_MS = 1_000;

/** Why an offered version is not in memory. */
const ON_DEMAND = 'not in memory; its first request loads it';

interface Attempt {
  source: LoadSource;
  readonly givenUp: AbortController;
  runner?: Runner;
  done: Promise<void>;
}

export function createVersion(options: VersionOptions): Version {
  const { model, version, folder, launcher, drainMs, loadSlots, budget, trustedKeys } = options;
  /** What was refused when it was to be loaded must not come into memory by a restart of what serves. */
  const verify = trustedKeys && (async () => void (await readVersionFolder(folder, trustedKeys)));
  let current: Instance | undefined;
  let attempt: Attempt | undefined;
  let draining: Promise<void> | undefined;
  let source: LoadSource | undefined;
  /** True while the version is to come into memory, and leaves it, as requests come. */
  let offered = false;
  let failure: SlipwayError | undefined;
  /** Why the last load found no room; it may find some later. */
  let refusal: SlipwayError | undefined;
  let reloadFailure = '';
  let announced = '';
  /** What `unloaded` and `draining` are explained with. */
  let idleReason = options.reason;
  let contents: VersionFolder | undefined;
  /** Instances that were replaced and still answer their last requests. */
  const retiring = new Map<Instance, Promise<void>>();
  const leases = new WeakMap<Runner, Lease>();

  let state: VersionState = 'unloaded';
  let { reason } = options;
  let answer: ReadyVersion | undefined;

  function derive(): [VersionState, string] {
    if (draining !== undefined) return ['draining', idleReason];
    if (current !== undefined) {
      const { status } = current.runner;
      if (status.state === 'ready') return ['ready', reloadFailure];
      if (status.state === 'restarting') return ['loading', status.reason];
      return ['loading', ''];
    }
    if (attempt !== undefined) {
      const status = attempt.runner?.status;
      return ['loading', status?.state === 'restarting' ? status.reason : ''];
    }
    if (failure !== undefined) return ['failed', failure.message];
    if (refusal !== undefined) return [offered ? 'unloaded' : 'failed', refusal.message];
    if (announced !== '') return ['loading', announced];
    return ['unloaded', idleReason];
  }

  function update(): void {
    const [nextState, nextReason] = derive();
    const nextAnswer = nextState === 'ready' ? current?.answer : undefined;
    if (nextState === state && nextReason === reason && nextAnswer === answer) return;
    answer = nextAnswer;
    state = nextState;
    reason = nextReason;
    options.onChange(self);
  }

  function retire(instance: Instance, waitMs = drainMs): Promise<void> {
    const retired = instance
      .drain(waitMs)
      .catch(() => undefined) // the runner's end is the launcher's to report
      .finally(() => {
        leases.get(instance.runner)?.end();
        retiring.delete(instance);
      });
    retiring.set(instance, retired);
    return retired;
  }

  /** Makes room: requests in flight end in their own time, and the next one loads the version again. */
  function evict(instance: Instance, why: string): Promise<void> {
    if (instance !== current) return retire(instance);
    const leaving = retire(instance, Infinity);
    if (attempt === undefined) {
      idleReason = `${ON_DEMAND} (${why})`;
      draining = leaving.then(endDraining);
    } else current = undefined; // what replaces it is loading
    update();
    return leaving;
  }

  /** After a restart the process id differs from that of the first load, and memory changes while it serves. */
  function infoOf({ runner, info }: Instance): LoadedInfo {
    const { status } = runner;
    const latest = status.state === 'ready' ? status.info : info;
    return { ...latest, memoryBytes: leases.get(runner)?.bytes ?? latest.memoryBytes };
  }

  function endDraining(): void {
    current = undefined;
    draining = undefined;
    announced = '';
    update();
  }

  function tenantOf({ source: from }: Attempt, fileBytes: number): Tenant & { instance?: Instance } {
    return {
      name: `${model}/${version}`,
      key: `${folder} ${from.fingerprint} ${from.instances}`,
      fileBytes,
      processes: from.instances,
      get pinned() {
        return !offered || options.isPinned(self);
      },
      get inFlight() {
        return this.instance?.inFlight ?? 0;
      },
      get lastUsedAt() {
        return this.instance?.lastUsedAt ?? performance.now();
      },
      evict(why) {
        return this.instance === undefined ? Promise.resolve() : evict(this.instance, why);
      },
    };
  }

  function onCurrentStatus(instance: Instance, status: RunnerStatus): void {
    if (instance !== current || draining !== undefined) return;
    if (status.state === 'failed' || status.state === 'stopped') {
      current = undefined;
      failure = status.state === 'failed' ? status.error : new SlipwayError('MODEL_FAILED', 'its runner was stopped');
      void retire(instance);
    }
    update();
  }

  async function launch(self: Attempt): Promise<void> {
    const { signal } = self.givenUp;
    let runner: Runner | undefined;
    let lease: Lease | undefined;
    try {
      const files = await inspectFolder(folder);
      self.source = { ...self.source, fingerprint: self.source.fingerprint ?? files?.fingerprint };
      if (attempt === self) ({ source } = self);
      const tenant = tenantOf(self, files?.bytes ?? 0);
      lease = await budget.reserve(tenant, signal);
      signal.throwIfAborted();
      const release = await whileWanted(loadSlots.acquire(), signal, (late) => late());
      const slotTimer = setTimeout(release, SLOT_MS);
      signal.addEventListener('abort', release, { once: true });
      try {
        const read = await readVersionFolder(folder, trustedKeys);
        signal.throwIfAborted();
        // What still serves is described by its own contents.
        if (current === undefined) contents = read;
        const { threads, instances } = self.source;
        runner = launcher.launch({ folder, format: read.format, ...wishesOf(read.manifest), threads, instances, verify });
        self.runner = runner;
        const launched = runner;
        launched.onStatus((status) => {
          if (status.state === 'restarting') release(); // what crashes while it loads must not hold up others
          if (current?.runner === launched) onCurrentStatus(current, status);
          else if (attempt === self) update();
        });
        update();
        const info = await whileWanted(launched.ready(), signal);
        signal.throwIfAborted();
        await lease.loaded(() => launched.memoryBytes());
        signal.throwIfAborted();
        const replaced = current;
        contents = read;
        current = createInstance({ model, version, manifest: read.manifest, folder, runner: launched, info });
        tenant.instance = current;
        leases.set(launched, lease);
        failure = refusal = undefined;
        reloadFailure = '';
        lease.serves();
        if (replaced !== undefined) void retire(replaced);
        onCurrentStatus(current, launched.status); // it may have crashed in between
      } finally {
        clearTimeout(slotTimer);
        release();
      }
    } catch (error) {
      if (!signal.aborted) {
        const coded = error instanceof SlipwayError ? error : new SlipwayError('MODEL_FAILED', messageOf(error), { cause: error });
        if (current !== undefined) reloadFailure = `serves its earlier files; loading the changed ones failed: ${messageOf(error)}`;
        else if (coded.code === 'MODEL_TOO_LARGE') refusal = coded;
        else failure = coded;
      }
      await runner?.stop().catch(() => undefined);
      lease?.end();
    } finally {
      if (attempt === self) attempt = undefined;
      update();
    }
  }

  const self: Version = {
    version,
    folder,
    get state() {
      return state;
    },
    get reason() {
      return reason;
    },
    get answer() {
      return answer;
    },
    get alive() {
      return current !== undefined && draining === undefined;
    },
    get loadFailed() {
      return attempt === undefined && (failure !== undefined || refusal !== undefined || reloadFailure !== '');
    },
    get retryAfterMs() {
      const status = (current?.runner ?? attempt?.runner)?.status;
      return status?.state === 'restarting' ? status.retryAfterMs : LOADING_RETRY_MS;
    },
    get source() {
      return source;
    },
    announce(why) {
      announced = why;
      update();
    },
    get onDemand() {
      return offered && failure === undefined && (current === undefined || draining !== undefined);
    },
    get resting() {
      return self.onDemand && attempt === undefined;
    },
    offer(next) {
      source = next;
      offered = true;
      failure = refusal = undefined;
      announced = '';
      idleReason = ON_DEMAND;
      update();
    },
    async demand() {
      if (source === undefined || !self.onDemand) return;
      await self.load({ ...source, fingerprint: undefined });
      if (refusal !== undefined) throw refusal;
    },
    load(next) {
      if (attempt !== undefined) {
        const { fingerprint } = attempt.source;
        const isSame = fingerprint === undefined || next.fingerprint === undefined || fingerprint === next.fingerprint;
        if (isSame && isSameSpread(attempt.source, next)) return attempt.done;
        attempt.givenUp.abort();
      }
      // Only a drain that is under way already: one that comes later waits for this load to be given up.
      const before = Promise.all([attempt?.done, draining]);
      source = next;
      announced = '';
      refusal = undefined;
      const begun: Attempt = { source: next, givenUp: new AbortController(), done: Promise.resolve() };
      attempt = begun;
      begun.done = before.then(() => launch(begun));
      update();
      return begun.done;
    },
    async settled() {
      while (attempt !== undefined) await attempt.done;
    },
    drain(why) {
      idleReason = why;
      source = undefined;
      offered = false;
      failure = refusal = undefined;
      reloadFailure = announced = '';
      // One that leaves to make room may take its time; now it is given no more than others.
      for (const instance of retiring.keys()) void instance.drain(drainMs);
      if (draining !== undefined) {
        attempt?.givenUp.abort();
        attempt = undefined;
        update();
        return draining;
      }
      const ending: Promise<unknown>[] = [...retiring.values()];
      if (attempt !== undefined) {
        attempt.givenUp.abort();
        ending.push(attempt.done);
      }
      if (current !== undefined) ending.push(retire(current));
      if (ending.length > 0) {
        attempt = undefined;
        draining = Promise.all(ending).then(endDraining);
      }
      update();
      return draining ?? Promise.resolve();
    },
    describe: () => ({
      version,
      state,
      reason,
      format: contents?.format,
      loaded: current === undefined ? undefined : infoOf(current),
      signature: current?.info.signature,
      manifest: contents?.manifest,
      signedBy: contents?.signedBy,
      restarts: (current?.runner ?? attempt?.runner)?.restarts ?? 0,
      threads: source?.threads,
      instances: (current?.runner ?? attempt?.runner)?.instances ?? [],
      onDemand: self.onDemand,
    }),
  };
  return self;
}
