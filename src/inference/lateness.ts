import { MessageChannel } from 'node:worker_threads';

/**
 * How late the event loop is with what has arrived. Events wait in the order in which they came, so one of our own that is sent
 * now and then waits for as long as a request that came with it: a round is from its sending to its handling.
 *
 * The turns of the event loop tell less: with a thousand connections that are ready, libuv handles events for up to a second
 * before it comes to timers and `setImmediate`.
 */
export interface Lateness {
  /** To be called for each request. @returns how long the round that it is in has lasted, in milliseconds; 0 between rounds. */
  elapsedMs(): number;
  /** How long the last round took, in milliseconds; 0 when the event loop has waited for something to do since it began. */
  readonly previousMs: number;
  /** The number of the round, or of the last one between rounds. A number is left out where the event loop has had nothing to do. */
  readonly round: number;
}

interface LatenessOptions {
  /** Milliseconds, never going back. */
  readonly now?: () => number;
  /** How long the event loop has waited for something to do in all, in milliseconds. */
  readonly idleMs?: () => number;
  /** Sends an event to this event loop itself. */
  readonly sendEvent?: (onHandled: () => void) => void;
}

/** Least time between two rounds, in milliseconds: an event costs as much as a tenth of a request. */
const REST_MS = 5;
/** A round from before that says nothing of now, in milliseconds. */
const STALE_MS = 100;

/**
 * Once the event loop has waited for so long, in milliseconds, nothing is left of what came before. To ask the system for what
 * is ready takes less, even for a thousand connections.
 */
const LEAST_IDLE_MS = 0.5;

/** Events by way of a message port, which wakes the event loop through a file descriptor as sockets do. */
function createEventSender(): (onHandled: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  let listener: (() => void) | undefined;
  port1.on('message', () => listener?.());
  port1.unref();
  return (onHandled) => {
    listener = onHandled;
    port2.postMessage(undefined);
  };
}

export function createLateness({
  now = () => performance.now(),
  idleMs = () => performance.eventLoopUtilization().idle,
  sendEvent = createEventSender(),
}: LatenessOptions = {}): Lateness {
  let startedAt = 0;
  let endedAt = -Infinity;
  let previousMs = 0;
  let waiting = false;
  let round = 0;
  /** Idle until the start of the last round. */
  let idleBeforeMs = 0;

  function onHandled(): void {
    waiting = false;
    endedAt = now();
    previousMs = endedAt - startedAt;
  }

  return {
    elapsedMs() {
      const time = now();
      if (waiting) return time - startedAt;
      if (time - endedAt > STALE_MS) previousMs = 0;
      if (time - endedAt < REST_MS && previousMs < REST_MS) return 0;
      const idle = idleMs();
      if (idle - idleBeforeMs > LEAST_IDLE_MS) {
        previousMs = 0;
        round += 1;
      }
      idleBeforeMs = idle;
      startedAt = time;
      waiting = true;
      round += 1;
      sendEvent(onHandled);
      return 0;
    },
    get previousMs() {
      return previousMs;
    },
    get round() {
      return round;
    },
  };
}
