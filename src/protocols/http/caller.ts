import { z } from 'zod';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller } from '../../inference/types.ts';
import type { ClientIdentity } from '../client-identity.ts';

/** How long a client waits for its answer, in milliseconds from when the request has arrived. */
const TIMEOUT_HEADER = 'x-request-timeout-ms';
/** Envoy's, and so Istio's: what is left of a request's time when it is passed on, in milliseconds; 0 is no limit. */
const ENVOY_TIMEOUT_HEADER = 'x-envoy-expected-rq-timeout-ms';

/** The headers of a request that runs a model. */
export const callerHeaders = z.object({
  'X-Request-Timeout-Ms': z.number().positive().optional().meta({
    description:
      'How long the client waits for its answer, in milliseconds; the server’s own limit holds too. A request whose answer would come too late is refused at once.',
    example: 1_000,
  }),
});

/** How long a client waits, in milliseconds; undefined when it does not say, NaN when it says what is no such time. */
export function timeoutOf(headers: IncomingHttpHeaders): number | undefined {
  const said = headers[TIMEOUT_HEADER];
  if (said === undefined) {
    const envoys = headers[ENVOY_TIMEOUT_HEADER];
    const left = envoys === undefined ? 0 : Number(envoys);
    return left > 0 ? left : undefined;
  }
  const timeoutMs = Number(said);
  return timeoutMs > 0 && Number.isFinite(timeoutMs) ? timeoutMs : Number.NaN;
}

/** What the head of a request says of who sent it. */
export type HeadCaller = Omit<Caller, 'signal'>;

/**
 * @param arrivedAt when the request came, on the `performance.now()` clock.
 * @throws SlipwayError INVALID_REQUEST for a timeout that is none.
 */
export function callerOf(clients: ClientIdentity, { headers, socket }: IncomingMessage, arrivedAt: number): HeadCaller {
  const timeoutMs = timeoutOf(headers);
  if (Number.isNaN(timeoutMs)) {
    throw new SlipwayError(
      'INVALID_REQUEST',
      `The header X-Request-Timeout-Ms is "${String(headers[TIMEOUT_HEADER])}"; it takes a number of milliseconds above 0.`,
      { details: [{ path: TIMEOUT_HEADER, message: 'must be a number above 0' }] },
    );
  }
  return { client: clients.of(socket.remoteAddress, headers), deadline: timeoutMs === undefined ? undefined : arrivedAt + timeoutMs };
}
