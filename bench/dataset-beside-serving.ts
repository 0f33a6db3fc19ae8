/**
 * What reading an uploaded dataset costs the predictions that run beside it: rounds in turn with and without one.
 * Usage: node bench/dataset-beside-serving.ts [rounds=5] [milliseconds=2000]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digitsBody, ROOT } from './lib/digits.ts';
import { load } from './lib/http-client.ts';
import { startServer, untilReady } from './lib/processes.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 2_000);
const body = digitsBody();
const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const folder = join(root, 'data');

/** Enough to be read for longer than a round takes. */
const ROWS = 1_500_000;

const flags = ['--port', '0', '--grpc-port', '0', '--models', join(ROOT, 'models'), '--state', join(root, 'state')];
const server = await startServer(['--max-semi-space-size=8', join(ROOT, 'bin/slipway.js'), ...flags, '--datasets-folder', folder]);

async function p99(connections: number): Promise<{ p50: number; p99: number; rps: number }> {
  const { requestsPerSecond, latencies } = await load({
    port: server.port,
    path: '/predict',
    headers: { 'content-type': 'application/json' },
    body,
    connections,
    durationMs,
  });
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), rps: requestsPerSecond };
}

/** Has a dataset read until `work` is done; its client goes away then, which ends the reading. */
async function whileReading<T>(name: string, work: () => Promise<T>): Promise<T> {
  const end = new AbortController();
  const reading = fetch(`http://127.0.0.1:${server.port}/datasets`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, path: 'large.csv' }),
    signal: end.signal,
  });
  let ended = false;
  const done = reading.then(
    () => (ended = true),
    () => {},
  );
  const result = await work();
  if (ended) throw new Error('the data was read before the round was over; make it larger');
  end.abort();
  await done;
  return result;
}

try {
  mkdirSync(folder);
  writeFileSync(join(folder, 'large.csv'), `a,b,c,d,kind\n${'1.5,2.25,3.125,4.0625,red\n'.repeat(ROWS)}`);
  await untilReady(server.port);
  for (const connections of [1, 8]) {
    await p99(connections);
    const quiet: Awaited<ReturnType<typeof p99>>[] = [];
    const busy: Awaited<ReturnType<typeof p99>>[] = [];
    for (let round = 0; round < rounds; round += 1) {
      quiet.push(await p99(connections));
      busy.push(await whileReading(`large-${connections}-${round}`, () => p99(connections)));
    }
    const of = (rows: typeof quiet, field: 'p50' | 'p99' | 'rps'): number => median(rows.map((row) => row[field]));
    const ratio = median(busy.map((row, index) => row.p99 / quiet[index]!.p99));
    console.log(
      `${connections} connections: p99 ${of(busy, 'p99').toFixed(2)} ms while a dataset is read, ${of(quiet, 'p99').toFixed(2)} ms without, ${ratio.toFixed(2)}x; ` +
        `p50 ${of(busy, 'p50').toFixed(3)} against ${of(quiet, 'p50').toFixed(3)} ms; ${of(busy, 'rps').toFixed(0)} against ${of(quiet, 'rps').toFixed(0)} requests/s`,
    );
  }
} finally {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}
