import type { IncomingMessage } from 'node:http';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller } from '../../inference/types.ts';
import type { ClientIdentity } from '../client-identity.ts';

/** How long a client waits for its answer, in milliseconds from when the server reads the head of the request. */
const TIMEOUT_HEADER = 'x-request-timeout-ms';
/** Envoy's, and so Istio's: what is left of a request's time when it is passed on, in milliseconds; 0 is no limit. */
const ENVOY_TIMEOUT_HEADER = 'x-envoy-expected-rq-timeout-ms';

function deadlineOf({ headers }: IncomingMessage): number | undefined {
  const said = headers[TIMEOUT_HEADER];
  if (said === undefined) {
    const envoys = headers[ENVOY_TIMEOUT_HEADER];
    const left = envoys === undefined ? 0 : Number(envoys);
    return left > 0 ? performance.now() + left : undefined;
  }
  const timeoutMs = Number(said);
  if (timeoutMs > 0 && Number.isFinite(timeoutMs)) return performance.now() + timeoutMs;
  throw new SlipwayError(
    'INVALID_REQUEST',
    `The header X-Request-Timeout-Ms is "${String(said)}"; it takes a number of milliseconds above 0.`,
    {
      details: [{ path: TIMEOUT_HEADER, message: 'must be a number above 0' }],
    },
  );
}

/** What the head of a request says of who sent it. */
export type HeadCaller = Omit<Caller, 'signal'>;

/** @throws SlipwayError INVALID_REQUEST for a timeout that is none. */
export function callerOf(clients: ClientIdentity, request: IncomingMessage): HeadCaller {
  return { client: clients.of(request.socket.remoteAddress, request.headers), deadline: deadlineOf(request) };
}
