/**
 * Whether a second instance of a model, or a second thread, pays on this machine: the same requests by several
 * connections to servers that differ in nothing else, up together, loaded in turn.
 * Usage: node bench/instances.ts [rounds=5] [milliseconds=1500] [connections=8]
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { digitsImage, ROOT } from './lib/digits.ts';
import { expectSuccess, nativeJson, v2Binary } from './lib/digits-loads.ts';
import { descendantsOf, residentBytes, startSlipway } from './lib/processes.ts';
import { load } from './lib/http-client.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 1_500);
const connections = Number(process.argv[4] ?? 8);
const IMAGES = 256;

/** So many images in one request: the engine has far more to do with it than the gateway. */
function manyImages(port: number) {
  const image = Buffer.from(digitsImage().buffer);
  const input = { name: 'image', datatype: 'FP32', shape: [IMAGES, 1, 28, 28], parameters: { binary_data_size: IMAGES * image.length } };
  const json = Buffer.from(JSON.stringify({ parameters: { binary_data_output: true }, inputs: [input] }));
  const body = Buffer.concat([json, ...Array.from({ length: IMAGES }, () => image)]);
  const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) };
  const options = { port, path: '/v2/models/digits/infer', headers, body };
  return (clients: number, ms: number) => load({ ...options, connections: clients, durationMs: ms });
}

const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  ['1 instance, 1 thread', []],
  ['2 instances, 1 thread', ['--runners-instances', '2']],
  ['1 instance, 2 threads', ['--runners-threads', '2']],
];
const servers = [];
for (const [, settings] of VARIANTS) servers.push(await startSlipway(['--models', join(ROOT, 'models'), ...settings]));

try {
  console.log(`${availableParallelism()} cores, ${connections} connections`);
  const workloads = { 'one image, JSON': nativeJson, 'one image, binary': v2Binary, [`${IMAGES} images, binary`]: manyImages };
  for (const [workload, loadOf] of Object.entries(workloads)) {
    const rates: number[][] = VARIANTS.map(() => []);
    const p99s: number[][] = VARIANTS.map(() => []);
    for (let round = -1; round < rounds; round += 1) {
      for (const [index, server] of servers.entries()) {
        const result = await loadOf(server.port)(connections, durationMs);
        expectSuccess(workload, result);
        if (round < 0) continue;
        rates[index]!.push(result.requestsPerSecond);
        p99s[index]!.push(quantile(result.latencies, 0.99));
      }
    }
    for (const [index, [name]] of VARIANTS.entries()) {
      const ratio = median(rates[index]!.map((rate, round) => rate / rates[0]![round]!));
      console.log(
        `${workload}: ${name}: ${median(rates[index]!).toFixed(0)} requests/s, ${ratio.toFixed(2)}x one instance; p99 ${median(p99s[index]!).toFixed(2)} ms`,
      );
    }
  }
  for (const [index, [name]] of VARIANTS.entries()) {
    const bytes = descendantsOf(servers[index]!.pid).map(residentBytes);
    console.log(`${name}: runners ${bytes.map((each) => (each / 1e6).toFixed(0)).join(' + ')} MB resident`);
  }
} finally {
  await Promise.all(servers.map((server) => server.stop()));
}
