import { SlipwayError } from '../errors/slipway-error.ts';
import type { Lateness } from './lateness.ts';
import type { Quotas } from './quotas.ts';
import type { Caller } from './types.ts';

export interface IntakeOptions {
  readonly lateness: Lateness;
  readonly quotas: Quotas;
  /** As the setting `scheduler.busyShare`. */
  readonly busyShare: number;
  /** Longest time of a request that names no deadline, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** Told of each request that is refused. */
  readonly onRefused?: (error: SlipwayError) => void;
}

/** While the server is busy, its rounds let requests in for this part of what made it so: short rounds cost no more than long ones. */
const WHILE_BUSY = 0.1;

/** Whoever sent a request, and how long they wait for its answer; what is known before anything of it is decoded. */
export type Applicant = Pick<Caller, 'client' | 'deadline'>;

/**
 * Where a predict request comes in, before its body is decoded: what a protocol spends on a request that is refused later is
 * taken from those that could be answered.
 */
export interface Intake {
  /** Since when a request whose head is handled now is likely to be here, on the `performance.now()` clock. */
  arrivedAt(): number;
  /**
   * Why a request is refused while the server has more to do than it can; undefined when it is not.
   *
   * It is busy when two rounds of the event loop have taken more than `busyShare` of the time that requests have, and the second
   * one longer than the first: more comes than goes. What a pause has left behind is worked off in rounds that become shorter,
   * and is no overload. While it is busy, the first ones of each round are let in, a tenth as long, and the rest is refused. So
   * rounds become short however much arrives, since a refusal costs a fraction of an answer, and those that are let in are
   * answered within a few of them. The first round that needs no refusal ends it, and so does a moment without anything to do.
   * @param timeoutMs that its client waits, the server's limit when undefined.
   * @param applies asked last: whether the request is one that can be refused so. One that can't counts for nothing here.
   */
  busy(timeoutMs: number | undefined, applies?: () => boolean): SlipwayError | undefined;
  /**
   * Lets a request in.
   * @returns to be called at its end; undefined when that need not be known.
   * @throws SlipwayError SERVER_BUSY, QUOTA_EXCEEDED, or DEADLINE_EXCEEDED when its time is over already.
   */
  begin(applicant: Applicant): (() => void) | undefined;
}

export function createIntake({ lateness, quotas, busyShare, requestTimeoutMs, onRefused = () => {} }: IntakeOptions): Intake {
  /** One error for all that are refused at about the same time, since an error costs as much as the rest of a refusal. */
  let latest: SlipwayError | undefined;
  /** The last round in which a request was refused so. */
  let busyRound = -Infinity;

  function refusal(elapsedMs: number): SlipwayError {
    const retryAfterMs = Math.ceil(elapsedMs + lateness.previousMs);
    if (latest?.retryAfterMs !== retryAfterMs) {
      latest = new SlipwayError('SERVER_BUSY', 'The server has more requests than it can answer in their time.', { retryAfterMs });
    }
    return latest;
  }

  function busy(timeoutMs = requestTimeoutMs, applies?: () => boolean): SlipwayError | undefined {
    const elapsedMs = lateness.elapsedMs();
    if (elapsedMs === 0 || busyShare === 0) return undefined;
    const { previousMs, round } = lateness;
    const mostMs = busyShare * Math.min(timeoutMs, requestTimeoutMs);
    if (elapsedMs <= mostMs * WHILE_BUSY) return undefined;
    if (busyRound < round - 1 && (previousMs <= mostMs || elapsedMs <= previousMs)) return undefined;
    if (applies?.() === false) return undefined;
    busyRound = round;
    const error = refusal(elapsedMs);
    onRefused(error);
    return error;
  }

  function refuse(error: SlipwayError): never {
    onRefused(error);
    throw error;
  }

  return {
    arrivedAt: () => performance.now() - Math.max(lateness.elapsedMs(), lateness.previousMs),
    busy,
    begin({ client, deadline }) {
      const leftMs = deadline === undefined ? undefined : deadline - performance.now();
      if (leftMs !== undefined && leftMs <= 0) refuse(expired());
      const error = busy(leftMs);
      if (error !== undefined) throw error;
      try {
        return quotas.begin(client);
      } catch (caught) {
        return refuse(caught as SlipwayError);
      }
    },
  };
}

/** What a request is told whose time was over before it was decoded. */
export function expired(): SlipwayError {
  return new SlipwayError('DEADLINE_EXCEEDED', 'The request was not answered within its time.');
}
