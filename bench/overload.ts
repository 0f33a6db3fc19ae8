/**
 * What a server does with three times as many requests as it can answer: an open loop over connections that stay open, 200 ms
 * for each answer, said in `X-Request-Timeout-Ms` and held to by the client. Each run measures the capacity first (the best of two closed loops), then
 * loads with 70 % of it, with three times as much, and with 70 % again without a pause. Two models: `digits`, where the
 * gateway is the limit, and one with a millisecond of convolutions, where the runner is. Beside them the bare baseline.
 * Latencies count from when a request was to be sent; beside them those without what the client was late with itself. Where other
 * programs run, `chrt -f 1 npx node bench/overload.ts` (as root) gives client and servers the cores first. Linux only, for it reads
 * /proc. Usage: node bench/overload.ts [runs=5] [milliseconds=2000] [models=digits,heavy] [more settings of the server]
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digitsBody, DIGITS_ONNX, ROOT } from './lib/digits.ts';
import { writeHeavyModel } from './lib/heavy-model.ts';
import { type BenchServer, descendantsOf, residentBytes, startServer, startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';
import { type PhaseResult, requestBytes, steadyLoad } from './lib/steady-load.ts';

const runs = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 2_000);
const names = (process.argv[4] ?? 'digits,heavy').split(',');
const settings = process.argv.slice(5);
const DEADLINE_MS = 200;
const OVERLOAD = 3;
const CALM = 0.7;
const CLOSED_LOOPS = [32, 128];
/** As many as carry three times the capacity of most, when each answer takes its 200 ms. */
const CONNECTIONS = 4_096;

/** One model's request, or the same for the baseline, which takes what it is asked for all the same. */
function requestOf(model: string): Buffer {
  const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: unknown };
  const headers = { 'content-type': 'application/json', 'x-request-timeout-ms': String(DEADLINE_MS) };
  return requestBytes('/predict', headers, Buffer.from(JSON.stringify({ model, inputs })));
}

const resident = ({ pid }: BenchServer): number => [pid, ...descendantsOf(pid)].reduce((sum, each) => sum + residentBytes(each), 0) / 1e6;

interface Run {
  readonly capacity: number;
  readonly calm: PhaseResult;
  readonly overload: PhaseResult;
  readonly after: PhaseResult;
  /** Resident memory of all processes of the server, in MB. */
  readonly before: number;
  readonly most: number;
}

const answered = ({ outcomes, seconds }: PhaseResult): number => (outcomes['200'] ?? 0) / seconds;

async function measure(server: BenchServer, request: Buffer): Promise<Run> {
  const options = { port: server.port, request, deadlineMs: DEADLINE_MS, maxConnections: CONNECTIONS };
  const closed = CLOSED_LOOPS.map((connections) => ({ durationMs: durationMs / 2, load: { connections } }));
  const capacity = Math.max(...(await steadyLoad({ ...options, connections: 128, phases: closed })).map(answered));
  const before = resident(server);
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, resident(server))), 100);
  const phases = [CALM, OVERLOAD, CALM].map((share) => ({ durationMs, load: { requestsPerSecond: share * capacity } }));
  const [calm, overload, after] = await steadyLoad({ ...options, connections: CONNECTIONS, phases });
  clearInterval(sampling);
  return { capacity, calm: calm!, overload: overload!, after: after!, before, most };
}

function shares({ outcomes }: PhaseResult): string {
  const all = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  return Object.entries(outcomes)
    .toSorted(([, one], [, other]) => other - one)
    .map(([outcome, count]) => `${outcome} ${((count / all) * 100).toFixed(1)} %`)
    .join(', ');
}

function report(title: string, all: readonly Run[]): void {
  const of = (value: (run: Run) => number): number => median(all.map(value));
  console.log(
    `${title}: capacity ${of(({ capacity }) => capacity).toFixed(0)} requests/s\n` +
      `  at ${CALM * 100} %: p50 ${of(({ calm }) => calm.p50Ms).toFixed(2)} ms, p99 ${of(({ calm }) => calm.p99Ms).toFixed(2)} ms, ` +
      `${of(({ calm }) => calm.p99Ms / calm.p50Ms).toFixed(1)}x the p50; ${of(({ calm }) => calm.serverP99Ms).toFixed(2)} ms of it surely not the client's own lateness\n` +
      `  at ${OVERLOAD}x: goodput ${of(({ overload, capacity }) => answered(overload) / capacity).toFixed(2)} of the capacity ` +
      `(${all.map(({ overload, capacity }) => (answered(overload) / capacity).toFixed(2)).join(' ')}), ` +
      `p50 ${of(({ overload }) => overload.p50Ms).toFixed(0)} ms, p99 ${of(({ overload }) => overload.p99Ms).toFixed(0)} ms, the client late by ${of(({ overload }) => overload.lagP99Ms).toFixed(1)} ms`,
  );
  for (const { calm, overload, after } of all) {
    console.log(
      `    ${shares(overload)} | calm before: ${shares(calm)} | after: ${shares(after)}, the last one not answered ${after.lastFailureMs.toFixed(0)} ms after the load`,
    );
  }
  console.log(
    `  resident ${of(({ before }) => before).toFixed(0)} MB before, ${of(({ most }) => most).toFixed(0)} MB at most; ` +
      `full speed ${of(({ after }) => after.lastFailureMs).toFixed(0)} ms after the load`,
  );
}

const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const models = join(folder, 'models');
try {
  const files: Record<string, string> = {
    digits: DIGITS_ONNX,
    heavy: await writeHeavyModel(join(models, 'heavy', '1'), join(folder, 'draft')),
  };
  cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
  for (const name of names) {
    const slipway = await startSlipway(['--models', models, ...settings]);
    const baseline = await startServer([join(ROOT, 'bench/baseline-server.ts'), files[name]!]);
    const results: { slipway: Run[]; baseline: Run[] } = { slipway: [], baseline: [] };
    try {
      for (let round = 0; round < runs; round += 1) {
        results.slipway.push(await measure(slipway, requestOf(name)));
        results.baseline.push(await measure(baseline, requestOf(name)));
      }
    } finally {
      await Promise.all([slipway.stop(), baseline.stop()]);
    }
    report(`${name}, Slipway`, results.slipway);
    report(`${name}, the bare baseline`, results.baseline);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
