/**
 * What models that are registered but not in memory cost: a server with one pinned model, beside the same with so many
 * more that wait for their first request. Starts in turn, then both up together and loaded in turn; ratios of medians.
 * Usage: node bench/unloaded-models.ts [models=1000] [rounds=7] [milliseconds=1500]
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './lib/digits.ts';
import { expectSuccess, nativeJson, v2Binary } from './lib/digits-loads.ts';
import { undisturbed } from './lib/foreign-load.ts';
import { type BenchServer, processorMs, residentBytes, startSlipway } from './lib/processes.ts';
import { median, quantile } from './lib/statistics.ts';

const count = Number(process.argv[2] ?? 1_000);
const rounds = Number(process.argv[3] ?? 7);
const durationMs = Number(process.argv[4] ?? 1_500);
const CONNECTIONS = 8;

const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

function repository(name: string, unloaded: number): string {
  const models = join(folder, name);
  cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
  writeFileSync(join(models, 'digits/slipway-model.json'), '{"pinned":true}');
  for (let index = 0; index < unloaded; index += 1) {
    mkdirSync(join(models, `another-${index}`));
    cpSync(join(ROOT, 'models/digits/1'), join(models, `another-${index}/1`), { recursive: true });
  }
  return models;
}

interface Start {
  readonly server: BenchServer;
  readonly listeningMs: number;
  readonly readyMs: number;
  /** Processor time of the gateway until it was ready, on all of its threads. */
  readonly processorMs: number;
}

async function start(models: string): Promise<Start> {
  let listeningMs = 0;
  const server = await startSlipway(['--models', models, '--memory-budget-bytes', '2000000000'], [], (listening) => {
    listeningMs = performance.now() - listening.startedAt;
  });
  return { server, listeningMs, readyMs: performance.now() - server.startedAt, processorMs: processorMs(server.pid) };
}

const alone = repository('alone', 0);
const many = repository('many', count);
const show = (values: readonly number[], digits = 0): string => median(values).toFixed(digits);

try {
  for (const models of [alone, many]) await (await start(models)).server.stop(); // the first start of all compiles
  const starts = await undisturbed(rounds, async () => {
    const base = await start(alone);
    await base.server.stop();
    const other = await start(many);
    await other.server.stop();
    return [base, other] as const;
  });
  const ms = (which: 0 | 1, what: Exclude<keyof Start, 'server'>): number[] => starts.results.map((pair) => pair[which][what]);
  const ratio = median(starts.results.map(([base, other]) => other.readyMs / base.readyMs));
  console.log(
    `ready after ${show(ms(0, 'readyMs'))} ms with 1 model, ${show(ms(1, 'readyMs'))} ms with ${count} unloaded ones more: ${ratio.toFixed(2)}x; ` +
      `listening after ${show(ms(0, 'listeningMs'))} and ${show(ms(1, 'listeningMs'))} ms; processor time of the gateway ${show(ms(0, 'processorMs'))} and ${show(ms(1, 'processorMs'))} ms; other processes had up to ${(starts.foreign * 100).toFixed(0)} %`,
  );

  const few = (await start(alone)).server;
  const lots = (await start(many)).server;
  try {
    for (const [name, loadOf] of [
      ['JSON', nativeJson],
      ['V2 binary', v2Binary],
    ] as const) {
      const ratios: number[] = [];
      const p50: number[] = [];
      const p99: number[] = [];
      const run = async (server: BenchServer): Promise<{ rps: number; p50: number; p99: number }> => {
        const result = await loadOf(server.port)(CONNECTIONS, durationMs);
        expectSuccess(name, result);
        return { rps: result.requestsPerSecond, p50: quantile(result.latencies, 0.5), p99: quantile(result.latencies, 0.99) };
      };
      for (let round = -1; round < rounds; round += 1) {
        const [one, other] = round % 2 === 0 ? [few, lots] : [lots, few];
        const [first, second] = [await run(one), await run(other)];
        const [base, with_] = round % 2 === 0 ? [first, second] : [second, first];
        if (round < 0) continue;
        ratios.push(with_.rps / base.rps);
        p50.push(with_.p50 / base.p50);
        p99.push(with_.p99 / base.p99);
      }
      console.log(
        `${name}, ${CONNECTIONS} connections: throughput ${show(ratios, 3)}x, p50 ${show(p50, 3)}x, p99 ${show(p99, 3)}x of that without them`,
      );
    }
    console.log(`gateway: ${(residentBytes(few.pid) / 1e6).toFixed(0)} MB and ${(residentBytes(lots.pid) / 1e6).toFixed(0)} MB`);
  } finally {
    await Promise.all([few.stop(), lots.stop()]);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
