/**
 * Predict over JSON against the bare baseline: both servers up together, loaded in turn, medians of the rounds.
 * Usage: node bench/predict.ts [rounds=5] [milliseconds=2000]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIGITS_ONNX, digitsBody, ROOT } from './lib/digits.ts';
import { load } from './lib/http-client.ts';
import { descendantsOf, residentBytes, startServer, untilReady } from './lib/processes.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 2_000);
const body = digitsBody();
const state = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

const baseline = await startServer([join(ROOT, 'bench/baseline-server.ts'), DIGITS_ONNX]);
const slipway = await startServer([
  '--max-semi-space-size=8',
  join(ROOT, 'bin/slipway.js'),
  '--port',
  '0',
  '--grpc-port',
  '0',
  '--models',
  join(ROOT, 'models'),
  '--state',
  state,
]);

interface Row {
  readonly rps: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(port: number, connections: number, ms: number): Promise<Row> {
  const { requestsPerSecond, latencies, outcomes } = await load({
    port,
    path: '/predict',
    headers: { 'content-type': 'application/json' },
    body,
    connections,
    durationMs: ms,
  });
  if (outcomes.size !== 1 || !outcomes.has(200)) throw new Error(`answers other than 200: ${JSON.stringify([...outcomes])}`);
  return { rps: requestsPerSecond, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
}

try {
  await untilReady(slipway.port);
  for (const connections of [1, 8, 32]) {
    await measure(baseline.port, connections, 1_000);
    await measure(slipway.port, connections, 1_000);
    const base: Row[] = [];
    const ours: Row[] = [];
    for (let round = 0; round < rounds; round += 1) {
      base.push(await measure(baseline.port, connections, durationMs));
      ours.push(await measure(slipway.port, connections, durationMs));
    }
    const ratio = median(ours.map((row, index) => row.rps / base[index]!.rps));
    const added = median(ours.map((row, index) => row.p50 - base[index]!.p50));
    console.log(
      `${connections} connections: ${ratio.toFixed(2)}x the baseline's requests/s ` +
        `(${median(ours.map((row) => row.rps)).toFixed(0)} against ${median(base.map((row) => row.rps)).toFixed(0)}); ` +
        `p50 ${median(ours.map((row) => row.p50)).toFixed(3)} ms against ${median(base.map((row) => row.p50)).toFixed(3)} ms, added ${added.toFixed(3)} ms; ` +
        `p99 ${median(ours.map((row) => row.p99)).toFixed(2)} ms against ${median(base.map((row) => row.p99)).toFixed(2)} ms`,
    );
  }
  const runners = descendantsOf(slipway.pid);
  const megabytes = (pid: number): string => (residentBytes(pid) / 1e6).toFixed(0);
  console.log(
    `resident after load: baseline ${megabytes(baseline.pid)} MB; gateway ${megabytes(slipway.pid)} MB, runners ${runners.map(megabytes).join(' + ')} MB`,
  );
} finally {
  await Promise.all([baseline.stop(), slipway.stop()]);
  rmSync(state, { recursive: true, force: true });
}
