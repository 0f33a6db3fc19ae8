/**
 * What counting costs: the calls that each answered request makes for histograms, percentiles and `Server-Timing`, timed by
 * themselves, as a share of the processor time that the gateway takes for a request under load. The calls are too cheap to
 * be told from noise by two servers beside each other. Linux only. Usage: node bench/metrics-cost.ts [rounds=5] [milliseconds=1000]
 */
import { join } from 'node:path';
import { createInferenceStatistics } from '../src/inference/statistics.ts';
import { serverTiming } from '../src/protocols/http/server-timing.ts';
import { expectSuccess, type Load, nativeJson, v2Binary, v2Grpc } from './lib/digits-loads.ts';
import { ROOT } from './lib/digits.ts';
import { processorMs, startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 1_000);
const CONNECTIONS = 32;
const CALLS = 200_000;

/** Microseconds of one call, the median of several rounds; each call has other times, as requests have. */
function microseconds(call: (ms: number) => void): number {
  const all: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const startedAt = performance.now();
    for (let at = 0; at < CALLS; at += 1) call(0.05 + (at % 997) / 313);
    all.push(((performance.now() - startedAt) / CALLS) * 1_000);
  }
  return median(all);
}

const statistics = createInferenceStatistics();
const run = { rows: 4, leads: false };
const timesOf = (ms: number) => ({ startedAt: ms, queueMs: ms / 3, computeMs: ms / 4, totalMs: ms });
let written = 0;
const counting = microseconds((ms) => {
  const times = timesOf(ms);
  statistics.succeeded('digits', 1, 1, times, run);
  statistics.atEdge('digits', 1, times, ms / 20, ms / 30);
});
const header = microseconds((ms) => {
  written += serverTiming(ms / 20, timesOf(ms), ms / 30).length;
});
if (written === 0) throw new Error('no header was written');
console.log(`histograms and counters ${counting.toFixed(2)} µs, Server-Timing ${header.toFixed(2)} µs a request`);

const server = await startSlipway(['--models', join(ROOT, 'models')]);
try {
  const loads: Record<string, readonly [Load, number]> = {
    'native JSON': [nativeJson(server.port), counting + header],
    'V2 binary': [v2Binary(server.port), counting + header],
    'V2 gRPC': [v2Grpc(await server.grpcPort), counting], // it has no Server-Timing
  };
  for (const [name, [load, cost]] of Object.entries(loads)) {
    const perRequest: number[] = [];
    for (let round = -1; round < rounds; round += 1) {
      const before = processorMs(server.pid);
      const result = await load(CONNECTIONS, durationMs);
      expectSuccess(name, result);
      if (round >= 0) perRequest.push(((processorMs(server.pid) - before) * 1_000) / result.latencies.length);
    }
    const micros = median(perRequest);
    console.log(
      `${name}, ${CONNECTIONS} connections: the gateway takes ${micros.toFixed(0)} µs a request; ${((cost / micros) * 100).toFixed(1)} % of it`,
    );
  }
} finally {
  await server.stop();
}
