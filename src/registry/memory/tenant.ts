/** What holds memory: one loaded model, or one that is being loaded. */
export interface Tenant {
  /** `digits/1`, for people. */
  readonly name: string;
  /** The same as long as the files are: what was measured of it before holds for it again. */
  readonly key: string;
  /** Bytes of its files; no loaded model takes less. */
  readonly fileBytes: number;
  /** Each of which has its files in memory. */
  readonly processes: number;
  /** True while it must not leave. */
  readonly pinned: boolean;
  /** Requests that hold it. */
  readonly inFlight: number;
  /** Moment of its last request, or of its load, on the budget's clock. */
  readonly lastUsedAt: number;
  /** Lets the requests in flight end and unloads it; resolves when its process has ended. Never rejects. */
  evict(reason: string): Promise<void>;
}

/** A tenant's place in the budget. */
export interface Lease {
  /** As it was measured last, in bytes. */
  readonly bytes: number;
  /**
   * The process is up: from now on its memory is what `measure` says.
   * @throws SlipwayError MODEL_TOO_LARGE when it does not fit beside what must stay; the caller ends it then.
   */
  loaded(measure: () => Promise<number>): Promise<void>;
  /** It serves: from now on it may be asked to leave. */
  serves(): void;
  /** The process has ended. Safe to call twice. */
  end(): void;
}

export interface ResidentDescription {
  readonly name: string;
  readonly state: 'loading' | 'loaded' | 'leaving';
  /** Measured last; what is set aside for it while it loads. */
  readonly bytes: number;
  readonly pinned: boolean;
}

export interface BudgetDescription {
  readonly device: string;
  /** Undefined when there is no limit. */
  readonly limitBytes: number | undefined;
  readonly usedBytes: number;
  /** Loads that wait for room. */
  readonly waiting: number;
  readonly loads: number;
  readonly evictions: number;
  readonly refusals: number;
  /** True while models push each other out faster than they are used; each stays for longer then. */
  readonly thrashing: boolean;
  readonly residents: readonly ResidentDescription[];
}

/** Who loads a model asks here first. */
export interface MemoryBudget {
  /**
   * Waits until there is room, for which models that were not used for longest leave.
   * @param signal aborted when the load is not wanted any more.
   * @throws SlipwayError MODEL_TOO_LARGE with the figures when there can't be room.
   */
  reserve(tenant: Tenant, signal: AbortSignal): Promise<Lease>;
  describe(): BudgetDescription;
  stop(): void;
}
