import type { NamedTensors } from '../tensor/tensor.ts';
import type { Runner } from '../runners/runner.ts';

/** Inputs, and how many examples they are. */
export interface Sample {
  readonly rows: number;
  readonly inputs: NamedTensors;
}

/** Milliseconds of one run, by the examples in it. */
export type RunTimes = Readonly<Record<string, number>>;

export interface DuelResult {
  /** Time of the challenger to that of the champion: the geometric mean over the samples. */
  readonly ratio: number;
  readonly champion: RunTimes;
  readonly challenger: RunTimes;
}

/** A round lasts so long for each, at least one run. */
const ROUND_MS = 10;
const MOST_RUNS = 500;
/** Odd, so that the median is one of them. */
const ROUNDS = 15;
const LEAST_ROUNDS = 3;
/** All rounds of a sample together, as far as that leaves the least number of them. */
const SAMPLE_MS = 1_500;
/** Before it is timed: the first runs compile and allocate, JavaScript's the more the longer it runs. */
const WARM_MS = 150;
const MOST_WARM_RUNS = 1_000;
/** What takes so many times as long is not measured any further. */
const HOPELESS = 10;

/** Milliseconds until the answer is here, which is what a request waits for: of a small model the way there takes longer than the engine. */
async function timeOf(runner: Runner, inputs: NamedTensors, outputs: readonly string[], runs: number): Promise<number> {
  const begun = performance.now();
  for (let run = 0; run < runs; run += 1) await runner.run([inputs], outputs);
  return (performance.now() - begun) / runs;
}

async function warmTimeOf(runner: Runner, inputs: NamedTensors, outputs: readonly string[]): Promise<number> {
  let total = 0;
  let last = 0;
  for (let run = 0; run === 0 || (total < WARM_MS && run < MOST_WARM_RUNS); run += 1)
    total += last = await timeOf(runner, inputs, outputs, 1);
  // Of a slow one the first run is not typical, and the only one.
  return total < WARM_MS || last < total ? last : timeOf(runner, inputs, outputs, 1);
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

/**
 * Times two runners in turn, so that a machine that is busy for a while is so for both.
 * @throws SlipwayError what a run throws
 */
export async function duel(
  champion: Runner,
  challenger: Runner,
  samples: readonly Sample[],
  outputs: readonly string[],
  signal: AbortSignal,
): Promise<DuelResult> {
  const times: { champion: Record<string, number>; challenger: Record<string, number> } = { champion: {}, challenger: {} };
  let logs = 0;
  for (const { rows, inputs } of samples) {
    const first = [];
    for (const runner of [champion, challenger]) first.push(await warmTimeOf(runner, inputs, outputs));
    const [own, theirs] = first as [number, number];
    const rounds = theirs > HOPELESS * own ? 1 : Math.max(LEAST_ROUNDS, Math.min(ROUNDS, Math.floor(SAMPLE_MS / (own + theirs))));
    const runs = first.map((ms) => Math.max(1, Math.min(MOST_RUNS, Math.ceil(ROUND_MS / Math.max(ms, 1e-3))))) as [number, number];
    const found: { readonly own: number; readonly theirs: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      signal.throwIfAborted();
      found.push({ own: await timeOf(champion, inputs, outputs, runs[0]), theirs: await timeOf(challenger, inputs, outputs, runs[1]) });
    }
    times.champion[rows] = median(found.map((round) => round.own));
    times.challenger[rows] = median(found.map((round) => round.theirs));
    const ratio = median(found.map((round) => round.theirs / Math.max(round.own, 1e-9)));
    logs += Math.log(Math.max(ratio, 1e-9));
    if (ratio > HOPELESS) return { ratio, ...times };
  }
  return { ratio: Math.exp(logs / samples.length), ...times };
}
