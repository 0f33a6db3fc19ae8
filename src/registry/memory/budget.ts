import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Logger } from '../../observability/log.ts';
import type { BudgetDescription, MemoryBudget, Tenant } from './tenant.ts';
import { createThrashWatch } from './thrash.ts';

export interface MemoryBudgetOptions {
  /** What the loaded models of the device may take together, in bytes; undefined for no limit. */
  readonly limitBytes: number | undefined;
  /** A model that was not used for so long leaves, in milliseconds; undefined to let it stay. */
  readonly idleTimeoutMs: number | undefined;
  /** How often memory is measured again, in milliseconds. */
  readonly measureMs: number;
  readonly logger: Logger;
  /** Milliseconds; `performance.now` by default. */
  readonly clock?: () => number;
}

/** The one device whose memory runners take by now. */
const DEVICE = 'cpu';
/** What a process is expected to take beside its files before one was measured, in bytes: Node with ONNX Runtime. */
const UNMEASURED_OVERHEAD_BYTES = 96 * 1024 * 1024;

interface Resident {
  readonly tenant: Tenant;
  state: 'loading' | 'loaded' | 'leaving';
  bytes: number;
  readonly since: number;
  loadMs: number;
  measure: (() => Promise<number>) | undefined;
  /** Moment of the last measurement. */
  measuredAt: number;
}

interface Waiter {
  readonly tenant: Tenant;
  readonly admit: (resident: Resident) => void;
  readonly refuse: (error: SlipwayError) => void;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * Keeps the memory of one device within a limit. Loads get their room in the order that they ask; for it, idle models
 * leave, the one that was not used for longest first, and busy ones when there are no idle ones. Sizes are measured
 * from the processes. Only before its first load a size is not known: its files and what other processes take beside
 * theirs stand in for it.
 */
export function createMemoryBudget(options: MemoryBudgetOptions): MemoryBudget {
  const { limitBytes: limit, idleTimeoutMs, measureMs, logger, clock: now = () => performance.now() } = options;
  const residents = new Set<Resident>();
  const waiting: Waiter[] = [];
  /** Largest size measured of each model, by its key. */
  const measured = new Map<string, number>();
  const thrash = createThrashWatch(now);
  let overheadBytes = UNMEASURED_OVERHEAD_BYTES;
  let loads = 0;
  let evictions = 0;
  let refusals = 0;
  let wasThrashing = false;
  let retryTimer: NodeJS.Timeout | undefined;

  function sum(which: (resident: Resident) => boolean): number {
    let total = 0;
    for (const resident of residents) if (which(resident)) total += resident.bytes;
    return total;
  }

  /** What stays whatever is asked for: pinned models, other than this one. */
  function fixedBytes(except: Tenant): number {
    return sum(({ tenant }) => tenant.pinned && tenant !== except);
  }

  function tooLarge(tenant: Tenant, bytes: number, how: string): SlipwayError {
    refusals += 1;
    const fixed = fixedBytes(tenant);
    const pinned = fixed === 0 ? '' : `, of which pinned models hold ${megabytes(fixed)}`;
    return new SlipwayError(
      'MODEL_TOO_LARGE',
      `${tenant.name} does not fit into memory: ${how} ${megabytes(bytes)}; the budget of the device ${DEVICE} is ${megabytes(limit ?? Infinity)}${pinned} (setting memory.budgetBytes).`,
    );
  }

  function evict(resident: Resident, reason: string): void {
    resident.state = 'leaving';
    evictions += 1;
    thrash.evicted(resident.tenant.key);
    logger.debug({ model: resident.tenant.name, bytes: resident.bytes, reason }, 'a model leaves memory');
    void resident.tenant.evict(reason);
  }

  /** Who leaves next; undefined when nobody may now. `soonMs` is when somebody may. */
  function nextVictim(except: Tenant | undefined): { readonly victim: Resident | undefined; readonly soonMs: number } {
    let victim: Resident | undefined;
    let soonMs = Infinity;
    for (const resident of residents) {
      const { tenant, state, since, loadMs } = resident;
      if (state !== 'loaded' || tenant.pinned || tenant === except) continue;
      const stayMs = thrash.residenceMs(loadMs) - (now() - since - loadMs);
      if (stayMs > 0) {
        soonMs = Math.min(soonMs, stayMs);
        continue;
      }
      const busier = Number(tenant.inFlight > 0) - Number((victim?.tenant.inFlight ?? 0) > 0);
      if (victim === undefined || busier < 0 || (busier === 0 && tenant.lastUsedAt < victim.tenant.lastUsedAt)) victim = resident;
    }
    return { victim, soonMs };
  }

  function noteThrash(): void {
    if (thrash.thrashing === wasThrashing) return;
    wasThrashing = thrash.thrashing;
    const fields = { budgetBytes: limit, residents: residents.size };
    if (wasThrashing) logger.warn(fields, 'models push each other out of memory; each stays for longer now, and requests wait for room');
    else logger.info(fields, 'models do not push each other out of memory any more');
  }

  function admit({ tenant, admit: admitted }: Waiter, bytes: number): void {
    const resident: Resident = { tenant, state: 'loading', bytes, since: now(), loadMs: 0, measure: undefined, measuredAt: -Infinity };
    residents.add(resident);
    loads += 1;
    thrash.loading(tenant.key);
    noteThrash();
    admitted(resident);
  }

  /** Lets in whoever is first in line, as far as there is room, and makes room. */
  function pump(): void {
    clearTimeout(retryTimer);
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const next = limit === undefined ? ('admitted' as const) : tryFirst(first, limit);
      if (next === 'waits') return;
      waiting.shift();
      if (next === 'admitted') admit(first, expectedBytes(first.tenant));
      else first.refuse(next);
    }
  }

  function expectedBytes({ key, fileBytes, processes }: Tenant): number {
    return measured.get(key) ?? processes * (fileBytes + overheadBytes);
  }

  function tryFirst({ tenant }: Waiter, bound: number): 'admitted' | 'waits' | SlipwayError {
    const room = bound - fixedBytes(tenant);
    const known = measured.get(tenant.key);
    if (known !== undefined && known > room) return tooLarge(tenant, known, 'it takes');
    const leastBytes = tenant.processes * tenant.fileBytes;
    if (leastBytes > room) return tooLarge(tenant, leastBytes, 'its files alone have');
    // What was never measured is not refused for a guess.
    const needed = Math.min(expectedBytes(tenant), room);
    for (;;) {
      if (sum(() => true) + needed <= bound) return 'admitted';
      if (sum(({ state }) => state !== 'leaving') + needed <= bound) return 'waits';
      const { victim, soonMs } = nextVictim(undefined);
      if (victim !== undefined) {
        evict(victim, `made room for ${tenant.name}`);
        continue;
      }
      if (soonMs !== Infinity) retryTimer = setTimeout(pump, Math.ceil(soonMs));
      return 'waits';
    }
  }

  /** Models grow while they are used: those that were not used for longest leave until the rest is within the limit. */
  function trim(except?: Tenant): void {
    if (limit === undefined) return;
    while (sum(({ state }) => state !== 'leaving') > limit) {
      const { victim } = nextVictim(except);
      if (victim === undefined) return;
      evict(victim, 'memory was over its budget');
    }
  }

  async function measureResident(resident: Resident): Promise<void> {
    const { tenant, measuredAt } = resident;
    // Memory does not change while nothing runs, and the system has to walk all of its pages to tell it.
    if (tenant.inFlight === 0 && tenant.lastUsedAt < measuredAt) return;
    resident.measuredAt = now();
    const bytes = await resident.measure?.().catch(() => undefined);
    if (bytes === undefined || !residents.has(resident)) return;
    resident.bytes = bytes;
    measured.set(tenant.key, bytes);
  }

  async function measureAll(): Promise<void> {
    for (const resident of residents) await measureResident(resident);
    if (idleTimeoutMs !== undefined) {
      for (const resident of residents) {
        const { tenant, state } = resident;
        if (state === 'loaded' && !tenant.pinned && tenant.inFlight === 0 && now() - tenant.lastUsedAt >= idleTimeoutMs)
          evict(resident, `was not used for ${idleTimeoutMs} ms`);
      }
    }
    trim();
    noteThrash();
    pump();
  }

  let measuring = false;
  const measureTimer = setInterval(
    () => {
      if (measuring) return;
      measuring = true;
      void measureAll().finally(() => (measuring = false));
    },
    Math.min(measureMs, idleTimeoutMs ?? Infinity),
  );
  measureTimer.unref();

  async function settle(resident: Resident, measure: () => Promise<number>): Promise<void> {
    const { tenant } = resident;
    const bytes = await measure();
    resident.loadMs = now() - resident.since;
    resident.bytes = bytes;
    resident.measure = measure;
    measured.set(tenant.key, bytes);
    overheadBytes = Math.max(0, bytes / tenant.processes - tenant.fileBytes);
    if (limit !== undefined && bytes > limit - fixedBytes(tenant)) throw tooLarge(tenant, bytes, 'it takes');
  }

  return {
    async reserve(tenant, signal) {
      const resident = await new Promise<Resident>((resolve, reject) => {
        const waiter: Waiter = { tenant, admit: resolve, refuse: reject };
        signal.addEventListener('abort', () => {
          const place = waiting.indexOf(waiter);
          if (place === -1) return;
          waiting.splice(place, 1);
          reject(new SlipwayError('MODEL_NOT_READY', 'The load was given up.'));
          pump();
        });
        waiting.push(waiter);
        pump();
      });
      return {
        get bytes() {
          return resident.bytes;
        },
        loaded: (measure) => settle(resident, measure),
        serves() {
          resident.state = 'loaded';
          // It may have taken more than was set aside, or less. Who waited for it gets hold of it first.
          setImmediate(() => {
            trim(tenant);
            pump();
          });
        },
        end() {
          if (!residents.delete(resident)) return;
          pump();
        },
      };
    },
    describe(): BudgetDescription {
      return {
        device: DEVICE,
        limitBytes: limit,
        usedBytes: sum(() => true),
        waiting: waiting.length,
        loads,
        evictions,
        refusals,
        thrashing: thrash.thrashing,
        residents: [...residents].map(({ tenant, state, bytes }) => ({ name: tenant.name, state, bytes, pinned: tenant.pinned })),
      };
    },
    stop() {
      clearInterval(measureTimer);
      clearTimeout(retryTimer);
    },
  };
}
