import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Intake } from '../../inference/intake.ts';
import { timeoutOf } from './caller.ts';
import { pathPattern } from './path.ts';
import type { HttpProtocol } from './route.ts';
import type { Lingering } from './unread-body.ts';

export interface EarlyRefusalOptions {
  readonly protocols: readonly HttpProtocol[];
  readonly intake: Intake;
  readonly lingering: Lingering;
  readonly requestIdOf: (request: IncomingMessage) => string;
}

/** The path of a URL without its query. */
export function withoutQuery(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

/**
 * Refuses predict requests while the server is busy, by their headers alone and before Fastify has seen them: when there are
 * three times as many requests as can be answered, what is spent on those that are not decides how many can be.
 * @returns a function that tells whether it has refused a request.
 */
export function createEarlyRefusal({ protocols, intake, lingering, requestIdOf }: EarlyRefusalOptions) {
  const refusable = protocols.map((protocol) => ({
    protocol,
    patterns: protocol.routes
      .filter(({ admission, method }) => admission === true && method === 'POST')
      .map(({ path }) => pathPattern(path)),
  }));

  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.method !== 'POST') return false;
    const timeoutMs = timeoutOf(request.headers);
    // What is no number is refused as such, further on.
    if (Number.isNaN(timeoutMs)) return false;
    const path = withoutQuery(request.url ?? '');
    let found: (typeof refusable)[number] | undefined;
    // Looked at only when the server is busy: it is a dozen regular expressions.
    const error = intake.busy(timeoutMs, () => {
      found = refusable.find(({ patterns }) => patterns.some((pattern) => pattern.test(path)));
      return found !== undefined;
    });
    if (error === undefined || found === undefined) return false;
    const requestId = requestIdOf(request);
    const { status, headers, body } = found.protocol.encodeError(error, { requestId, method: 'POST', path });
    const fields = ['x-request-id', requestId, 'content-length', String(Buffer.byteLength(body))];
    for (const name in headers) fields.push(name, headers[name]!);
    if (lingering.beforeAnswer(request, response)) fields.push('connection', 'close');
    response.writeHead(status, fields);
    response.end(body);
    return true;
  };
}
