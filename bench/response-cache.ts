/**
 * What the response cache saves and costs: requests/s with it against the same server without it, when all requests are
 * equal; and, by itself, the time to take the digest of a request and look for it, which each other request pays.
 * Usage: node bench/response-cache.ts [rounds=5] [milliseconds=1000]
 */
import { join } from 'node:path';
import { createResponseCache } from '../src/inference/response-cache.ts';
import type { ReadyVersion } from '../src/registry/types.ts';
import type { Work } from '../src/scheduler/types.ts';
import { expectSuccess, nativeJson, v2Binary, v2Grpc } from './lib/digits-loads.ts';
import { ROOT } from './lib/digits.ts';
import { startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 1_000);
const CONNECTIONS = 8;

const models = ['--models', join(ROOT, 'models')];
const without = await startSlipway(models);
const withCache = await startSlipway([...models, '--response-cache-max-bytes', '100000000']);
try {
  const loads = { JSON: nativeJson, 'V2 binary': v2Binary };
  const pairs = {
    JSON: [loads.JSON(without.port), loads.JSON(withCache.port)],
    'V2 binary': [loads['V2 binary'](without.port), loads['V2 binary'](withCache.port)],
    gRPC: [v2Grpc(await without.grpcPort), v2Grpc(await withCache.grpcPort)],
  } as const;
  for (const [name, pair] of Object.entries(pairs)) {
    const ratios: number[] = [];
    for (let round = -1; round < rounds; round += 1) {
      const rates: number[] = [];
      for (const load of pair) {
        const result = await load(CONNECTIONS, durationMs);
        expectSuccess(name, result);
        rates.push(result.requestsPerSecond);
      }
      if (round >= 0) ratios.push(rates[1]! / rates[0]!);
    }
    console.log(`${name}, ${CONNECTIONS} connections, all requests equal: ${median(ratios).toFixed(2)}x of that without the cache`);
  }
} finally {
  await Promise.all([without.stop(), withCache.stop()]);
}

const version = { model: 'm', version: 1, manifest: {} } as ReadyVersion;
const done = Promise.resolve({
  outputs: new Map([['y', { dtype: 'FP32', shape: [1, 10], data: new Float32Array(10) }]] as const),
  queueMs: 0,
  computeMs: 0,
  batchRows: 1,
  leads: true,
});
for (const elements of [784, 3 * 224 * 224]) {
  const cache = createResponseCache(100_000_000);
  const data = new Float32Array(elements);
  const work: Work = {
    inputs: new Map([['x', { dtype: 'FP32', shape: [1, elements], data }]]),
    outputs: ['y'],
    deadline: Infinity,
    priority: 1,
    client: '',
    signal: undefined,
  };
  const times: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const count = elements < 1_000 ? 2_000 : 50;
    const startedAt = performance.now();
    for (let at = 0; at < count; at += 1) {
      data[0] = round * count + at;
      await cache.complete(version, work, () => done);
    }
    times.push(((performance.now() - startedAt) / count) * 1_000);
  }
  console.log(`a request of ${elements * 4} bytes that was never seen: ${median(times).toFixed(1)} µs more`);
}
