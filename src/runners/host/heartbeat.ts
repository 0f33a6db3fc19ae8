export interface HeartbeatOptions {
  /** An idle runner is pinged this often. */
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
  start(): void;
  stop(): void;
}

/**
 * Notices a runner that stopped answering. A runner computes on its event loop and can't answer a ping meanwhile, so
 * it is pinged only when idle, and a run that takes too long is what tells when it is busy.
 *
 * Silence is counted in ticks of this process: had the host itself been stopped or blocked (a suspended machine, a
 * paused container), the wall clock would blame the runner for it.
 */
export function createHeartbeat({ heartbeatMs, unresponsiveMs, isBusy, ping, onSilent }: HeartbeatOptions): Heartbeat {
  const tickMs = Math.max(10, Math.min(heartbeatMs, unresponsiveMs / 4));
  let timer: NodeJS.Timeout | undefined;
  let lastTick = 0;
  let silentMs = 0;
  let idleMs = 0;
  let pinged = false;

  function tick(): void {
    const now = performance.now();
    const elapsedMs = Math.min(now - lastTick, 2 * tickMs);
    lastTick = now;
    if (isBusy() || pinged) {
      silentMs += elapsedMs;
      // The work may have begun just before the first tick that counts it, so one tick is granted on top.
      if (silentMs < unresponsiveMs + tickMs) return;
      stop();
      onSilent();
      return;
    }
    idleMs += elapsedMs;
    if (idleMs < heartbeatMs) return;
    pinged = true;
    ping();
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    alive() {
      silentMs = 0;
      idleMs = 0;
      pinged = false;
    },
    start() {
      if (timer !== undefined) return;
      lastTick = performance.now();
      timer = setInterval(tick, tickMs);
      timer.unref();
    },
    stop,
  };
}
