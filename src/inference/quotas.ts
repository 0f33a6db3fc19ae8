import { SlipwayError } from '../errors/slipway-error.ts';

export interface QuotaOptions {
  /** Requests a second of one client, in the long run; no bound when undefined. */
  readonly requestsPerSecond?: number | undefined;
  /** Requests that a client may send at once after a rest; one second's worth, at least 1, when undefined. */
  readonly burst?: number | undefined;
  /** Requests of one client that are answered at the same time; no bound when undefined. */
  readonly maxConcurrent?: number | undefined;
  /** Clients that are remembered. Beyond that the one that was idle for longest is forgotten, and its quota begins anew. */
  readonly maxClients: number;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
}

export interface Quotas {
  /**
   * Counts a request of a client.
   * @returns to be called at its end; undefined when there is no quota.
   * @throws SlipwayError QUOTA_EXCEEDED, with the time until the next one is allowed.
   */
  begin(client: string): (() => void) | undefined;
}

interface Usage {
  /** When the requests so far would have been sent, had they come evenly at the rate. */
  dueAt: number;
  running: number;
  /** Of its requests, from begin to end; NaN before the first end. In milliseconds. */
  meanMs: number;
}

/** Weight of the latest request in the mean. */
const SMOOTHING = 0.1;
/** What a client is told to wait that has too many running, none of which has ever ended, in milliseconds. */
const MOMENT_MS = 1_000;

/**
 * Bounds what one client may ask for. The rate is held to by the generic cell rate algorithm (ITU-T I.371, the virtual
 * scheduling form), a token bucket that needs one number for each client and no timer. A refused request uses up nothing.
 */
export function createQuotas(options: QuotaOptions): Quotas {
  const { requestsPerSecond = Infinity, maxConcurrent = Infinity, maxClients, now = () => performance.now() } = options;
  if (requestsPerSecond === Infinity && maxConcurrent === Infinity) return { begin: () => undefined };
  const intervalMs = 1_000 / requestsPerSecond;
  const burst = options.burst ?? Math.max(1, Math.floor(requestsPerSecond));
  const toleranceMs = requestsPerSecond === Infinity ? 0 : (burst - 1) * intervalMs;
  /** The one that asked last is last. */
  const clients = new Map<string, Usage>();

  function forgetIdlest(): void {
    for (const [client, { running }] of clients) {
      if (running > 0) continue;
      clients.delete(client);
      return;
    }
  }

  function usageOf(client: string): Usage {
    const known = clients.get(client);
    if (known !== undefined) clients.delete(client);
    else if (clients.size >= maxClients) forgetIdlest();
    const usage = known ?? { dueAt: -Infinity, running: 0, meanMs: Number.NaN };
    clients.set(client, usage);
    return usage;
  }

  return {
    begin(client) {
      const usage = usageOf(client);
      if (usage.running >= maxConcurrent) {
        throw new SlipwayError('QUOTA_EXCEEDED', `This client has ${usage.running} requests under way; it may have ${maxConcurrent}.`, {
          // So many at a time, each of which takes so long: that often one of them ends (Little's law).
          retryAfterMs: Number.isNaN(usage.meanMs) ? MOMENT_MS : usage.meanMs / usage.running,
        });
      }
      const time = now();
      const dueAt = Math.max(usage.dueAt, time);
      const aheadMs = dueAt - time - toleranceMs;
      if (aheadMs > 0) {
        throw new SlipwayError('QUOTA_EXCEEDED', `This client is over its ${requestsPerSecond} requests a second.`, {
          retryAfterMs: aheadMs,
        });
      }
      usage.dueAt = dueAt + intervalMs;
      usage.running += 1;
      return () => {
        usage.running -= 1;
        const tookMs = now() - time;
        usage.meanMs = Number.isNaN(usage.meanMs) ? tookMs : usage.meanMs + SMOOTHING * (tookMs - usage.meanMs);
      };
    },
  };
}
