/**
 * Twenty models in room for three, requests spread by Zipf: failures, resident memory against the budget, what eviction
 * gives back, and what each load costs. Then many registered models that are not loaded: what they add to the start and
 * to a predict. Linux only, for it reads memory from /proc.
 * Usage: node bench/memory-budget.ts [requests=400] [registered=1000]
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digitsBody, ROOT } from './lib/digits.ts';
import { load } from './lib/http-client.ts';
import { type BenchServer, descendantsOf, startServer, untilReady } from './lib/processes.ts';
import { median, quantile } from './lib/statistics.ts';

const requests = Number(process.argv[2] ?? 400);
const registered = Number(process.argv[3] ?? 1_000);
const MODELS = 20;
const CLIENTS = 4;
const GIVE_BACK_ROUNDS = 25;
const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
// The path names the model.
const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: unknown };
const body = Buffer.from(JSON.stringify({ inputs }));

/** Memory of a process with its part of what it shares, in bytes. */
function proportionalBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1_024;
  } catch {
    return 0; // it has just ended
  }
}

const runnerBytes = (server: BenchServer): number => descendantsOf(server.pid).reduce((total, pid) => total + proportionalBytes(pid), 0);

function repository(name: string, count: number): string {
  const models = join(folder, name);
  for (let index = 0; index < count; index += 1) {
    mkdirSync(join(models, `digits-${index}`), { recursive: true });
    cpSync(join(ROOT, 'models/digits/1'), join(models, `digits-${index}`, '1'), { recursive: true });
  }
  return models;
}

function start(models: string, ...settings: readonly string[]): Promise<BenchServer> {
  const state = join(folder, 'state');
  return startServer([join(ROOT, 'bin/slipway.js'), '--port', '0', '--grpc-port', '0', '--models', models, '--state', state, ...settings]);
}

async function predict(server: BenchServer, model: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${server.port}/models/digits-${model}/predict`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  await answer.arrayBuffer();
  return answer.status;
}

interface Memory {
  readonly usedBytes: number;
  readonly loads: number;
  readonly evictions: number;
  readonly thrashing: boolean;
}

async function memoryOf(server: BenchServer): Promise<Memory> {
  const { devices } = (await (await fetch(`http://127.0.0.1:${server.port}/memory`)).json()) as { devices: Memory[] };
  return devices[0]!;
}

/** Draws model numbers by Zipf's law (exponent 1), the same ones in each run. */
function zipf(count: number): () => number {
  const cumulative: number[] = [];
  let total = 0;
  for (let rank = 1; rank <= count; rank += 1) cumulative.push((total += 1 / rank));
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647; // Park and Miller's generator
    return cumulative.findIndex((sum) => sum >= (state / 2_147_483_647) * total);
  };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** What one model takes when three are loaded, so that the budget is room for three. */
async function sizeOfOne(models: string): Promise<number> {
  const server = await start(models, '--memory-budget-bytes', String(10e9));
  try {
    await untilReady(server.port);
    for (const model of [0, 1, 2]) for (let time = 0; time < 50; time += 1) await predict(server, model);
    if ((await predict(server, 0)) !== 200) throw new Error('a model does not answer');
    return runnerBytes(server) / 3;
  } finally {
    await server.stop();
  }
}

async function spreadRequests(models: string, budgetBytes: number): Promise<void> {
  const server = await start(models, '--memory-budget-bytes', String(budgetBytes), '--memory-measure-ms', '500');
  try {
    await untilReady(server.port);
    const next = zipf(MODELS);
    const outcomes = new Map<number, number>();
    const latencies: number[] = [];
    let mostBytes = 0;
    let sent = 0;
    const watch = setInterval(() => (mostBytes = Math.max(mostBytes, runnerBytes(server))), 50);
    const startedAt = performance.now();
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        while (sent < requests) {
          sent += 1;
          const at = performance.now();
          const status = await predict(server, next());
          latencies.push(performance.now() - at);
          outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
        }
      }),
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    clearInterval(watch);
    const { loads, evictions } = await memoryOf(server);
    const sorted = Float64Array.from(latencies).toSorted();
    console.log(
      `${MODELS} models in room for three, ${requests} requests by Zipf from ${CLIENTS} clients: ${JSON.stringify([...outcomes])} in ${seconds.toFixed(1)} s; ` +
        `${loads} loads, ${evictions} evictions; p50 ${quantile(sorted, 0.5).toFixed(1)} ms, p99 ${quantile(sorted, 0.99).toFixed(0)} ms`,
    );
    console.log(
      `memory of the runners: at most ${megabytes(mostBytes)} with a budget of ${megabytes(budgetBytes)} (${((100 * mostBytes) / budgetBytes).toFixed(0)} %)`,
    );
  } finally {
    await server.stop();
  }
}

/**
 * Memory of the whole tree of processes before a load, with the model, and after it has left; of the gateway too, whose own
 * heap grows to its size in the first dozen rounds.
 */
async function giveBack(models: string): Promise<void> {
  const server = await start(models, '--memory-budget-bytes', String(10e9));
  const total = (): number => proportionalBytes(server.pid) + runnerBytes(server);
  const change = async (verb: string): Promise<void> => {
    await (await fetch(`http://127.0.0.1:${server.port}/models/digits-0/${verb}`, { method: 'POST' })).arrayBuffer();
  };
  try {
    await untilReady(server.port);
    await change('load');
    await change('unload'); // what the gateway takes for its first load ever, once
    const ratios: number[] = [];
    const kept: number[] = [];
    for (let round = 0; round < GIVE_BACK_ROUNDS; round += 1) {
      const before = total();
      await change('load');
      for (let time = 0; time < 50; time += 1) await predict(server, 0);
      const loaded = total();
      await change('unload');
      const after = total();
      ratios.push((loaded - after) / (loaded - before));
      kept.push(after - before);
    }
    console.log(
      `leaving gives back ${(100 * median(ratios.slice(0, 5))).toFixed(1)} % of what the load and 50 requests took in the first 5 rounds, ` +
        `${(100 * median(ratios.slice(-5))).toFixed(1)} % in the last 5 of ${ratios.length}; kept in each, in MB: ${kept.map((bytes) => (bytes / 1e6).toFixed(1)).join(' ')}`,
    );
  } finally {
    await server.stop();
  }
}

/** Start, and predict of one loaded model, beside so many that are not loaded: in turn, several times. */
async function registeredModels(): Promise<void> {
  const few = repository('few', 1);
  const many = repository('many', registered);
  const starts: number[][] = [[], []];
  for (let round = 0; round < 3; round += 1) {
    for (const [index, models] of [few, many].entries()) {
      const server = await start(models, '--memory-budget-bytes', String(10e9));
      await untilReady(server.port);
      starts[index]!.push(performance.now() - server.startedAt);
      await server.stop();
    }
  }
  const servers = [await start(few, '--memory-budget-bytes', String(10e9)), await start(many, '--memory-budget-bytes', String(10e9))];
  try {
    const rates: number[][] = [[], []];
    for (const server of servers) {
      await untilReady(server.port);
      await predict(server, 0);
    }
    for (let round = 0; round < 7; round += 1) {
      for (const [index, server] of servers.entries()) {
        const { requestsPerSecond } = await load({
          port: server.port,
          path: '/models/digits-0/predict',
          headers: { 'content-type': 'application/json' },
          body,
          connections: 32,
          durationMs: 2_000,
        });
        if (round > 0) rates[index]!.push(requestsPerSecond);
      }
    }
    const ratio = median(rates[1]!.map((rate, round) => rate / rates[0]![round]!));
    console.log(
      `${registered} registered models that are not loaded: ready after ${median(starts[1]!).toFixed(0)} ms against ${median(starts[0]!).toFixed(0)} ms with one; ` +
        `${ratio.toFixed(3)}x its requests/s`,
    );
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

try {
  const models = repository('models', MODELS);
  const one = await sizeOfOne(models);
  console.log(`one model takes ${megabytes(one)}`);
  await spreadRequests(models, Math.round(one * 3 * 1.1));
  await giveBack(models);
  await registeredModels();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
