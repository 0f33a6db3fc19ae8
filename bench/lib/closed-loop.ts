export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Latencies of the requests, in milliseconds, ascending. */
  readonly latencies: Float64Array;
  /** Requests by their outcome: an HTTP status, or a gRPC status by name. */
  readonly outcomes: ReadonlyMap<number | string, number>;
}

/** One connection that sends the same request again and again, one at a time, until a moment on the `performance.now()` clock. */
export type RunConnection = (until: number, onAnswer: (outcome: number | string, ms: number) => void) => Promise<void>;

/** Loads a server over several connections in a closed loop. */
export async function closedLoop(connections: number, durationMs: number, run: RunConnection): Promise<LoadResult> {
  const latencies: number[] = [];
  const outcomes = new Map<number | string, number>();
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: connections }, () =>
      run(startedAt + durationMs, (outcome, ms) => {
        latencies.push(ms);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  return { requestsPerSecond: latencies.length / seconds, latencies: Float64Array.from(latencies).toSorted(), outcomes };
}
