export interface HeartbeatOptions {
  /** A runner that was just idle for so long is pinged; one that stays idle ever more seldom, up to `unresponsiveMs`. */
  readonly heartbeatMs: number;
  /** Silence after which a runner with work or a ping to answer counts as stuck. */
  readonly unresponsiveMs: number;
  /** Whether the runner has a request to answer. */
  readonly isBusy: () => boolean;
  readonly ping: () => void;
  /** Called once; the heartbeat has stopped then. */
  readonly onSilent: () => void;
}

export interface Heartbeat {
  /** Call for each sign of life: whatever arrives from the runner. */
  alive(): void;
  /** Call whenever the runner is given work. */
  wake(): void;
  start(): void;
  stop(): void;
}

/**
 * Notices a runner that stopped answering. A runner computes on its event loop and can't answer a ping meanwhile, so
 * it is pinged only when idle, and a run that takes too long is what tells when it is busy. One that stays idle costs
 * next to nothing: each ping that it answers doubles the wait until the next.
 *
 * Silence is counted in ticks of this process: had the host itself been stopped or blocked (a suspended machine, a
 * paused container), the wall clock would blame the runner for it.
 */
export function createHeartbeat({ heartbeatMs, unresponsiveMs, isBusy, ping, onSilent }: HeartbeatOptions): Heartbeat {
  const tickMs = Math.max(10, Math.min(heartbeatMs, unresponsiveMs / 4));
  const longestRestMs = Math.max(heartbeatMs, unresponsiveMs);
  let timer: NodeJS.Timeout | undefined;
  let started = false;
  /** Until the next tick. */
  let delayMs = tickMs;
  let lastTick = 0;
  let silentMs = 0;
  let idleMs = 0;
  /** How long it must be idle to be pinged. */
  let restMs = heartbeatMs;
  let pinged = false;

  function tickAfter(ms: number): void {
    clearTimeout(timer);
    delayMs = ms;
    timer = setTimeout(tick, ms);
    timer.unref();
  }

  function tick(): void {
    const now = performance.now();
    const elapsedMs = Math.min(now - lastTick, 2 * delayMs);
    lastTick = now;
    if (isBusy() || pinged) {
      silentMs += elapsedMs;
      // The work may have begun just before the first tick that counts it, so one tick is granted on top.
      if (silentMs >= unresponsiveMs + tickMs) {
        stop();
        onSilent();
      } else tickAfter(tickMs);
      return;
    }
    idleMs += elapsedMs;
    if (idleMs >= restMs) {
      pinged = true;
      restMs = Math.min(2 * restMs, longestRestMs);
      ping();
    }
    tickAfter(pinged ? tickMs : Math.max(tickMs, restMs - idleMs));
  }

  function stop(): void {
    clearTimeout(timer);
    started = false;
  }

  return {
    alive() {
      silentMs = 0;
      idleMs = 0;
      pinged = false;
    },
    wake() {
      restMs = heartbeatMs;
      if (!started || delayMs === tickMs) return;
      lastTick = performance.now();
      tickAfter(tickMs);
    },
    start() {
      if (started) return;
      started = true;
      lastTick = performance.now();
      tickAfter(tickMs);
    },
    stop,
  };
}
