/**
 * The engine that was chosen by measurement beside the best one present, over the models of `models/` and of the tests: a server
 * chooses, with nothing known before; then every candidate that gives the same answers is timed again, in turn and for longer.
 * Usage: node bench/choice.ts [rounds=15] [part of a model's name]
 * SLIPWAY_TENSORFLOW_FOLDER names native TensorFlow, which is a candidate then.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wishesFor } from '../src/choice/candidates.ts';
import type { CandidateReport, Choice } from '../src/choice/choice.ts';
import { createCompiledModels } from '../src/compilation/compiled-models.ts';
import { createCompilingLauncher } from '../src/compilation/compiling-launcher.ts';
import type { CompileResult } from '../src/compilation/result.ts';
import { configSchema } from '../src/config/schema.ts';
import { variedInputs } from '../src/engines/agreement.ts';
import { runJobProcess } from '../src/jobs/job-process.ts';
import { defaultFolder, FOLDER_VARIABLE } from '../src/native/installation.ts';
import { tensorflowEnvironment } from '../src/native/tensorflow-environment.ts';
import type { Logger } from '../src/observability/log.ts';
import { detectFormat } from '../src/packages/formats.ts';
import { runnerEnvironment } from '../src/runners/host/environment.ts';
import { createRunnerLauncher } from '../src/runners/host/launcher.ts';
import type { Runner } from '../src/runners/runner.ts';
import type { NamedTensors } from '../src/tensor/tensor.ts';
import { ROOT } from './lib/digits.ts';
import { startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 15);
const wanted = process.argv[3] ?? '';
const ROUND_MS = 20;
const WARM_MS = 300;
const BATCH = 16;
const CHOSEN_BY = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'slipway-choice-'));
const models = join(folder, 'models');
const state = join(folder, 'state');
const tensorflowFolder = process.env[FOLDER_VARIABLE] ?? defaultFolder(process.env);
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

for (const source of [join(ROOT, 'models'), join(ROOT, 'test/fixtures/models')])
  for (const name of readdirSync(source))
    if (!name.startsWith('broken') && name.includes(wanted)) cpSync(join(source, name), join(models, name), { recursive: true });

/** What the server has chosen for each model, once it has for all. */
async function choices(): Promise<Map<string, Choice>> {
  const server = await startSlipway(['--models', models, '--state', state, '--tensorflow-folder', tensorflowFolder]);
  try {
    for (const deadline = performance.now() + CHOSEN_BY; performance.now() < deadline;) {
      const answer = await fetch(`http://127.0.0.1:${server.port}/models`);
      const { models: described } = (await answer.json()) as { models: { name: string; versions: { state: string; choice?: Choice }[] }[] };
      const found = described.map(({ name, versions }): [string, Choice | undefined] => [name, versions[0]?.choice]);
      const isSettled = ({ versions }: (typeof described)[number]): boolean =>
        versions.every((version) => version.state === 'failed' || (version.state === 'ready' && version.choice?.by !== 'pending'));
      if (described.every(isSettled)) return new Map(found.flatMap(([name, choice]) => (choice === undefined ? [] : [[name, choice]])));
      await new Promise((done) => setTimeout(done, 200));
    }
    throw new Error('not all models were measured in time');
  } finally {
    await server.stop();
  }
}

function launcher() {
  const config = configSchema.parse({});
  const env = { ...process.env, ...tensorflowEnvironment(tensorflowFolder, process.env) };
  const compiled = createCompiledModels({
    folder: join(state, 'compiled'),
    maxCacheBytes: config.compiler.maxCacheBytes,
    compile: async (request, signal) => {
      const settings = { ...config.compiler, env: runnerEnvironment(env, undefined), stopGraceMs: 800, group: 'compiler' } as const;
      return (await runJobProcess({ settings, job: 'compile', request, onEvent: () => {}, signal })) as CompileResult;
    },
    logger: silent,
  });
  return createCompilingLauncher(createRunnerLauncher({ ...config.runners, logger: silent, env }), compiled);
}

/** Milliseconds until the answer of a runner is here. */
async function timeOf(runner: Runner, inputs: NamedTensors, outputs: readonly string[], runs: number): Promise<number> {
  const begun = performance.now();
  for (let run = 0; run < runs; run += 1) await runner.run([inputs], outputs);
  return (performance.now() - begun) / runs;
}

/** Milliseconds of each runner by round, all in turn. */
async function timesOf(runners: readonly Runner[], inputs: NamedTensors, outputs: readonly string[]): Promise<number[][]> {
  const runs: number[] = [];
  for (const runner of runners) {
    for (const deadline = performance.now() + WARM_MS; performance.now() < deadline;) await timeOf(runner, inputs, outputs, 1);
    runs.push(Math.max(1, Math.min(1_000, Math.round(ROUND_MS / (await timeOf(runner, inputs, outputs, 5))))));
  }
  const found: number[][] = runners.map(() => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, runner] of runners.entries()) found[index]!.push(await timeOf(runner, inputs, outputs, runs[index]!));
  return found;
}

interface Compared {
  /** Time of the chosen candidate to that of the best one: over both sizes together, as it was chosen. */
  readonly ratio: number;
  /** The same between two processes of the chosen one: differences up to this mean nothing. */
  readonly noise: number;
  readonly best: CandidateReport;
}

async function compare(name: string, each: readonly CandidateReport[]): Promise<Compared> {
  const chosen = each.findIndex(({ outcome }) => outcome === 'taken');
  const candidates = [...each, each[chosen]!];
  const start = launcher();
  const version = join(models, name, '1');
  const placement = { folder: version, format: await detectFormat(version), threads: 1 };
  const runners = candidates.map((candidate) => start.launch({ ...placement, ...wishesFor(candidate) }));
  try {
    const infos = await Promise.all(runners.map((runner) => runner.ready()));
    const { signature } = infos[0]!;
    const outputs = signature.outputs.map((spec) => spec.name);
    const isBatched = [...signature.inputs, ...signature.outputs].every(({ shape }) => shape?.[0] === -1);
    const logs = candidates.map(() => 0);
    for (const rows of isBatched ? [1, BATCH] : [1]) {
      const samples = variedInputs(signature, rows);
      let inputs: NamedTensors | undefined;
      for (const each of samples) {
        inputs ??= await runners[0]!.run([each], outputs).then(
          () => each,
          () => undefined,
        );
      }
      const found = await timesOf(runners, inputs!, outputs);
      const best = Math.min(...found.map(median));
      for (const [index, times] of found.entries()) logs[index]! += Math.log(median(times) / best);
    }
    const sizes = isBatched ? 2 : 1;
    const twin = logs.pop()!;
    const least = Math.min(...logs);
    return {
      ratio: Math.exp((logs[chosen]! - least) / sizes),
      noise: Math.exp(Math.abs(logs[chosen]! - twin) / sizes),
      best: each[logs.indexOf(least)]!,
    };
  } finally {
    await Promise.all(runners.map((runner) => runner.stop()));
  }
}

try {
  mkdirSync(state, { recursive: true });
  const chosen = await choices();
  let worst = 1;
  let worstOverNoise = 1;
  let compared = 0;
  for (const [name, choice] of chosen) {
    const near = choice.candidates.filter(({ outcome, runMs }) => (outcome === 'taken' || outcome === 'slower') && runMs !== undefined);
    if (choice.by !== 'measured' || near.length < 2) {
      console.log(`${name}: ${choice.by}: ${choice.reason}`);
      continue;
    }
    const { ratio, noise, best } = await compare(name, near);
    const taken = near.find(({ outcome }) => outcome === 'taken')!;
    compared += 1;
    worst = Math.max(worst, ratio);
    if (ratio > noise) worstOverNoise = Math.max(worstOverNoise, ratio);
    console.log(
      `${name}: ${taken.engine} ${taken.backend} of ${near.length}, ${ratio.toFixed(2)} times the time of the best, ${best.engine} ${best.backend}; noise ${noise.toFixed(2)}`,
    );
  }
  console.log(
    `${compared} models with a choice; at worst ${worst.toFixed(2)} times the time of the best engine present (goal: 1.10), ${worstOverNoise.toFixed(2)} where that is more than the noise`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
