import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { SlipwayError } from '../../errors/slipway-error.ts';

/** How long what is left of a body is read and dropped after its answer, in milliseconds. */
const LINGER_MS = 30_000;

/**
 * A body as a stream of its own. Who reads it may give up, as a pipeline does that fails, and the connection of the
 * client stays for the answer. It fails with REQUEST_CANCELLED when the client goes away before the end of the body.
 */
export function openBody(request: IncomingMessage): Readable {
  const body = new PassThrough();
  body.on('error', () => {}); // whoever reads it meets the error; nobody may do so yet
  request.once('close', () => {
    if (!request.complete) body.destroy(new SlipwayError('REQUEST_CANCELLED', 'The client went away before the end of the body.'));
  });
  return request.pipe(body);
}

/**
 * Answers that come before their request has come whole. When a connection is closed while bytes of a body are still on
 * their way, the system resets it, and a client that sends first and reads then never sees why it was refused. So the
 * rest is read and dropped for a while (RFC 9112 §9.6).
 */
export interface Lingering {
  /**
   * Call before an answer is sent.
   * @returns whether the answer shall say that the connection is closed behind it.
   */
  beforeAnswer(request: IncomingMessage, response: ServerResponse): boolean;
  /** From now on connections are closed behind their answer. */
  announceEnd(): void;
  /** Closes the connections that linger, those that begin to as well. */
  end(): void;
}

export function createLingering(lingerMs = LINGER_MS): Lingering {
  const lingering = new Set<IncomingMessage>();
  let ending = false;
  let ended = false;

  function linger(request: IncomingMessage, isLast: boolean): void {
    if (request.destroyed) return;
    if (request.complete) {
      // It came whole while the answer was written.
      if (isLast) request.socket.end();
      return;
    }
    if (ended) {
      request.destroy();
      return;
    }
    lingering.add(request);
    const timer = setTimeout(() => request.destroy(), lingerMs);
    request.once('close', () => {
      clearTimeout(timer);
      lingering.delete(request);
      if (isLast) request.socket.end();
    });
    request.on('error', () => {}); // the client may go away as well as stay
    request.unpipe();
    request.resume();
  }

  return {
    beforeAnswer(request, response) {
      if (request.complete) return ending;
      // A client that asks first sends its body only when it is told to, and nobody has told it.
      if (request.headers.expect !== undefined && !hasContinued(response)) return true;
      const isLast = ending || !response.shouldKeepAlive;
      // Else Node closes the connection as soon as the answer is out.
      response.shouldKeepAlive = true;
      response.once('finish', () => linger(request, isLast));
      return false;
    },
    announceEnd() {
      ending = true;
    },
    end() {
      ended = true;
      for (const request of lingering) request.destroy();
    },
  };
}

const continued = new WeakSet<ServerResponse>();

function hasContinued(response: ServerResponse): boolean {
  return continued.has(response);
}

/** Tells a client that asked first (`Expect: 100-continue`) to send its body. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect === undefined) return;
  continued.add(response);
  response.writeContinue();
}
