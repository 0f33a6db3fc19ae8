/**
 * One image a request through every protocol, against the bare baseline: both servers up together, loaded in turn,
 * medians of the rounds. Usage: node bench/predict.ts [rounds=5] [milliseconds=1000] [connections=1,8,32]
 */
import { join } from 'node:path';
import { bareBinary, expectSuccess, type Load, nativeJson, v2Binary, v2Grpc, v2Json } from './lib/digits-loads.ts';
import { DIGITS_ONNX, ROOT } from './lib/digits.ts';
import type { LoadResult } from './lib/closed-loop.ts';
import { undisturbed } from './lib/foreign-load.ts';
import { descendantsOf, residentBytes, startServer, startSlipway } from './lib/processes.ts';
import { tensorFlowGrpc, tensorFlowRest } from './lib/tensorflow-loads.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 1_000);
const connectionCounts = (process.argv[4] ?? '1,8,32').split(',').map(Number);

const BASE_JSON = 'bare JSON';
const BASE_BINARY = 'bare binary';
const JSON_LOADS: ReadonlySet<string> = new Set([BASE_JSON, 'native JSON', 'V2 REST JSON', 'TFS REST']);

const baseline = await startServer([join(ROOT, 'bench/baseline-server.ts'), DIGITS_ONNX]);
const slipway = await startSlipway(['--models', join(ROOT, 'models')]);

try {
  const loads: Record<string, Load> = {
    [BASE_JSON]: nativeJson(baseline.port),
    [BASE_BINARY]: bareBinary(baseline.port),
    'native JSON': nativeJson(slipway.port),
    'V2 REST JSON': v2Json(slipway.port),
    'V2 REST binary': v2Binary(slipway.port),
    'V2 gRPC': v2Grpc(await slipway.grpcPort),
    'TFS REST': tensorFlowRest(slipway.port, 'row'),
    'TFS gRPC': tensorFlowGrpc(await slipway.grpcPort),
  };
  for (const connections of connectionCounts) {
    const results: Record<string, LoadResult[]> = Object.fromEntries(Object.keys(loads).map((name) => [name, []]));
    for (const run of Object.values(loads)) await run(connections, durationMs);
    const { results: measured, foreign } = await undisturbed(rounds, async () => {
      const round: [string, LoadResult][] = [];
      for (const [name, run] of Object.entries(loads)) {
        const result = await run(connections, durationMs);
        expectSuccess(name, result);
        round.push([name, result]);
      }
      return round;
    });
    for (const [name, result] of measured.flat()) results[name]!.push(result);
    console.log(`${connections} connections; other processes had up to ${(foreign * 100).toFixed(0)} % of the machine`);
    const p50s = (name: string): number[] => results[name]!.map(({ latencies }) => quantile(latencies, 0.5));
    for (const [name, each] of Object.entries(results)) {
      const rps = median(each.map(({ requestsPerSecond }) => requestsPerSecond));
      const ratio = median(each.map((result, round) => result.requestsPerSecond / results[BASE_JSON]![round]!.requestsPerSecond));
      const base = p50s(JSON_LOADS.has(name) ? BASE_JSON : BASE_BINARY);
      const added = median(p50s(name).map((p50, round) => p50 - base[round]!));
      const p99 = median(each.map(({ latencies }) => quantile(latencies, 0.99)));
      console.log(
        `  ${name.padEnd(16)}${rps.toFixed(0).padStart(7)} requests/s, ${ratio.toFixed(2)}x ${BASE_JSON}; ` +
          `p50 ${median(p50s(name)).toFixed(3)} ms, added to the bare one ${added.toFixed(3)} ms; p99 ${p99.toFixed(2)} ms`,
      );
    }
  }
  const megabytes = (pid: number): string => (residentBytes(pid) / 1e6).toFixed(0);
  console.log(
    `resident after load: baseline ${megabytes(baseline.pid)} MB; gateway ${megabytes(slipway.pid)} MB, runners ${descendantsOf(slipway.pid).map(megabytes).join(' + ')} MB`,
  );
} finally {
  await Promise.all([baseline.stop(), slipway.stop()]);
}
