/** A model that comes back so soon after it was evicted counts as pushed out too early, in milliseconds. */
const RETURN_MS = 30_000;
/** Only loads of the last so many milliseconds are looked at. */
const WINDOW_MS = 10_000;
/** Fewer returns than this are no pattern. */
const LEAST_RETURNS = 4;
/** Under thrash a model stays for so many times as long as its load took: at most a quarter of the time is spent on loads. */
const RESIDENCE_FACTOR = 3;
/** But no longer than this, in milliseconds: others wait meanwhile. */
const LONGEST_RESIDENCE_MS = 5_000;

/** Notices that models push each other out and come back at once, and says for how long each should stay then. */
export interface ThrashWatch {
  evicted(key: string): void;
  /** A load begins. */
  loading(key: string): void;
  readonly thrashing: boolean;
  /** How long a model should stay whose load took so long, in milliseconds; 0 unless there is thrash. */
  residenceMs(loadMs: number): number;
}

export function createThrashWatch(now: () => number): ThrashWatch {
  const evictedAt = new Map<string, number>();
  /** Moments of the latest loads, and whether each was a return. */
  let loads: { readonly at: number; readonly isReturn: boolean }[] = [];

  function isThrashing(): boolean {
    const since = now() - WINDOW_MS;
    loads = loads.filter(({ at }) => at >= since);
    const returns = loads.filter(({ isReturn }) => isReturn).length;
    return returns >= LEAST_RETURNS && returns * 2 >= loads.length;
  }

  return {
    evicted(key) {
      for (const [other, at] of evictedAt) if (now() - at > RETURN_MS) evictedAt.delete(other);
      evictedAt.set(key, now());
    },
    loading(key) {
      const left = evictedAt.get(key);
      loads.push({ at: now(), isReturn: left !== undefined && now() - left <= RETURN_MS });
    },
    get thrashing() {
      return isThrashing();
    },
    residenceMs: (loadMs) => (isThrashing() ? Math.min(LONGEST_RESIDENCE_MS, RESIDENCE_FACTOR * loadMs) : 0),
  };
}
