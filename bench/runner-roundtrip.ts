import { createRunnerLauncher } from '../src/runners/host/launcher.ts';
import type { Runner } from '../src/runners/runner.ts';
import type { NamedTensors } from '../src/tensor/tensor.ts';

/*
 * Time of a request to a runner and back, without a model: a child program that echoes its inputs.
 * Run: node bench/runner-roundtrip.ts
 */

const WARM_UP = 2_000;
const ROUNDS = 10_000;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function echoInput(bytes: number): NamedTensors {
  return new Map([['x', { dtype: 'FP32', shape: [bytes / 4], data: new Float32Array(bytes / 4).fill(0.5) }]]);
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Sends `rounds` requests with `inFlight` of them at a time. @returns microseconds of each, sorted, and of all. */
async function measure(
  runner: Runner,
  inputs: NamedTensors,
  rounds: number,
  inFlight: number,
): Promise<{ sorted: Float64Array; totalUs: number }> {
  const times = new Float64Array(rounds);
  let sent = 0;
  const started = performance.now();
  async function client(): Promise<void> {
    while (sent < rounds) {
      const index = sent++;
      const begun = performance.now();
      await runner.run([inputs], ['x']);
      times[index] = (performance.now() - begun) * 1_000;
    }
  }
  await Promise.all(Array.from({ length: inFlight }, client));
  return { sorted: times.toSorted(), totalUs: (performance.now() - started) * 1_000 };
}

const launcher = createRunnerLauncher({
  loadTimeoutMs: 10_000,
  heartbeatMs: 1_000,
  unresponsiveMs: 10_000,
  restartBackoffMs: 100,
  maxRestarts: 0,
  logger: quiet,
  env: process.env,
  childProgram: new URL('../test/fixtures/runners/echo.ts', import.meta.url),
});

const launched = performance.now();
const runner = launcher.launch({ folder: '/bench/echo/1', format: 'onnx', engine: undefined, threads: 1 });
const info = await runner.ready();
console.log(`ready in ${(performance.now() - launched).toFixed(0)} ms, ${(info.memoryBytes / 1e6).toFixed(0)} MB resident`);
console.log('payload   in flight   p50 µs   p99 µs   requests/s');
for (const bytes of [3_000, 100_000]) {
  const inputs = echoInput(bytes);
  for (const inFlight of [1, 8]) {
    await measure(runner, inputs, WARM_UP, inFlight);
    const { sorted, totalUs } = await measure(runner, inputs, ROUNDS, inFlight);
    const cells = [
      `${bytes / 1_000} kB`.padEnd(9),
      String(inFlight).padStart(9),
      percentile(sorted, 0.5).toFixed(0).padStart(8),
      percentile(sorted, 0.99).toFixed(0).padStart(8),
      Math.round(ROUNDS / (totalUs / 1e6))
        .toString()
        .padStart(12),
    ];
    console.log(cells.join(' '));
  }
}
await runner.stop();
