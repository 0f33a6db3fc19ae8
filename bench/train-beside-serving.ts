/**
 * What a training job costs the predictions that run beside it: rounds in turn with and without one.
 * Usage: node bench/train-beside-serving.ts [rounds=5] [milliseconds=2000]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
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

const IMAGES = 2_000;

const flags = ['--port', '0', '--grpc-port', '0', '--models', join(ROOT, 'models'), '--state', join(root, 'state')];
const server = await startServer(['--max-semi-space-size=8', join(ROOT, 'bin/slipway.js'), ...flags]);

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

interface Job {
  readonly id: string;
  readonly state: string;
}

async function call<T>(path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

/** Has LeNet trained until `work` is done. */
async function whileTraining<T>(work: () => Promise<T>): Promise<T> {
  const { id } = await call<Job>('/train-jobs', {
    dataset: 'images',
    target: 'label',
    architecture: { kind: 'lenet5' },
    epochs: 100_000,
    batchSize: 64,
  });
  const events = await fetch(`http://127.0.0.1:${server.port}/train-jobs/${id}/events`);
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; !text.includes('event: progress');) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the job ended: ${text}`);
    text += value;
  }
  const result = await work();
  if ((await call<Job>(`/train-jobs/${id}`)).state !== 'running') throw new Error('the job ended before the round was over');
  await call(`/train-jobs/${id}/cancel`, {});
  for (;;) if ((await reader.read()).done) return result;
}

/** Random images in the format of MNIST. */
function idx(magic: number, shape: readonly number[], bytes: Buffer): Blob {
  const header = Buffer.alloc(4 * (shape.length + 1));
  for (const [index, value] of [magic, ...shape].entries()) header.writeUInt32BE(value, index * 4);
  return new Blob([header, Uint8Array.from(bytes)]);
}

async function upload(): Promise<void> {
  const images = randomBytes(IMAGES * 784);
  const form = new FormData();
  form.append('name', 'images');
  form.append('file', idx(0x803, [IMAGES, 28, 28], images), 'images-idx3-ubyte');
  form.append('file', idx(0x801, [IMAGES], Buffer.from(images.subarray(0, IMAGES).map((level) => level % 10))), 'labels-idx1-ubyte');
  const response = await fetch(`http://127.0.0.1:${server.port}/datasets`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(await response.text());
}

try {
  await untilReady(server.port);
  await upload();
  for (const connections of [1, 8]) {
    await p99(connections);
    const quiet: Awaited<ReturnType<typeof p99>>[] = [];
    const busy: Awaited<ReturnType<typeof p99>>[] = [];
    for (let round = 0; round < rounds; round += 1) {
      quiet.push(await p99(connections));
      busy.push(await whileTraining(() => p99(connections)));
    }
    const of = (rows: typeof quiet, field: 'p50' | 'p99' | 'rps'): number => median(rows.map((row) => row[field]));
    const ratio = median(busy.map((row, index) => row.p99 / quiet[index]!.p99));
    console.log(
      `${connections} connections: p99 ${of(busy, 'p99').toFixed(2)} ms beside a training job, ${of(quiet, 'p99').toFixed(2)} ms without, ${ratio.toFixed(2)}x; ` +
        `p50 ${of(busy, 'p50').toFixed(3)} against ${of(quiet, 'p50').toFixed(3)} ms; ${of(busy, 'rps').toFixed(0)} against ${of(quiet, 'rps').toFixed(0)} requests/s`,
    );
  }
} finally {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}
