import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { differenceOf, MAX_DIFFERENCE, variedInputs } from '../engines/agreement.ts';
import { readRecordedRequests } from '../engines/recorded-requests.ts';
import type { LoadedInfo, Runner } from '../runners/runner.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import { type FoundCandidate, isSame, nameOf } from './candidates.ts';
import type { Candidate, CandidateReport } from './choice.ts';
import { duel, type RunTimes, type Sample } from './duel.ts';

/** Examples in the larger sample. */
const BATCH = 16;
/** Of requests that were recorded for the model, so many are asked of each candidate. */
const MOST_RECORDED = 4;
/** A model whose run takes longer is not run on a batch, in milliseconds. */
const LONG_RUN_MS = 100;
/** What is no faster than that does not take the place of one that comes before it: the next measurement may say the contrary. */
const CLEARLY = 0.97;

export interface MeasureOptions {
  /** In the order in which they are tried. */
  readonly candidates: readonly FoundCandidate[];
  /** Starts a runner of one candidate, of lower priority than those that serve. */
  readonly launch: (candidate: Candidate) => Runner;
  /** Called once it has loaded. */
  readonly onLoaded: (runner: Runner) => void;
  /** Of the version, for the requests that were recorded for it. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

interface Loaded {
  readonly candidate: Candidate;
  readonly runner: Runner;
  readonly info: LoadedInfo;
}

export interface Measured {
  /** Undefined when no candidate could be held to another one. */
  readonly taken: Candidate | undefined;
  readonly candidates: readonly CandidateReport[];
  /** Why nothing could be measured. */
  readonly problem?: string | undefined;
}

/** The same inputs and outputs; an engine may know more of their shapes than another. */
function isLike(one: Signature, other: Signature): boolean {
  const text = (signature: Signature): string =>
    [signature.inputs, signature.outputs]
      .map((specs) =>
        specs
          .map(({ name, dtype }) => `${name} ${dtype}`)
          .toSorted()
          .join(),
      )
      .join('/');
  return text(one) === text(other);
}

/** Open in its first dimension in each input and output: examples lie one behind the other. */
function takesBatches({ inputs, outputs }: Signature): boolean {
  return inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape?.[0] === -1);
}

/** The samples that a runner answers, with its answers. */
async function samplesFor({ runner, info }: Loaded, folder: string): Promise<{ samples: Sample[]; answers: NamedTensors[] }> {
  const { signature } = info;
  const outputs = signature.outputs.map(({ name }) => name);
  const recorded = await readRecordedRequests(folder, signature, MOST_RECORDED).catch(() => undefined);
  const samples: Sample[] = [];
  const answers: NamedTensors[] = [];
  let last = 0;
  for (const rows of takesBatches(signature) ? [1, BATCH] : [1]) {
    if (last > LONG_RUN_MS) break;
    for (const inputs of rows === 1 && recorded !== undefined ? recorded : variedInputs(signature, rows)) {
      try {
        const result = await runner.run([inputs], outputs);
        last = result.computeNs / 1e6;
        samples.push({ rows, inputs });
        answers.push(result.outputs);
      } catch (error) {
        // Made-up inputs may be ones that no model of the kind takes.
        if (runner.status.state !== 'ready') throw error;
      }
    }
  }
  return { samples, answers };
}

/** How far its answers are from those of the first candidate; undefined where all agree. */
async function disagreement(runner: Runner, samples: readonly Sample[], answers: readonly NamedTensors[]): Promise<string | undefined> {
  for (const [index, { inputs }] of samples.entries()) {
    const expected = answers[index]!;
    const { outputs } = await runner.run([inputs], [...expected.keys()]);
    for (const [name, tensor] of expected) {
      const difference = differenceOf(tensor, outputs.get(name)!);
      if (difference > MAX_DIFFERENCE) return `On test inputs its "${name}" differs by ${difference.toPrecision(2)}.`;
    }
  }
  return undefined;
}

/** One sample of each size is enough to be timed. */
function timed(samples: readonly Sample[]): Sample[] {
  return samples.filter(({ rows }, index) => samples.findIndex((each) => each.rows === rows) === index);
}

/**
 * Tries each candidate in a process of its own and takes the fastest of those whose answers are those of the first one.
 * Each is timed beside the fastest so far.
 */
export async function measureCandidates({ candidates, launch, onLoaded, folder, signal }: MeasureOptions): Promise<Measured> {
  const reports: CandidateReport[] = [];
  const report = (candidate: Candidate, outcome: CandidateReport['outcome'], reason = '', runMs?: RunTimes): void => {
    const { engine, backend, device } = candidate;
    const at = reports.findIndex((each) => isSame(each, candidate));
    // Beside what is hopeless the larger sample is not run again.
    const times = { ...reports[at]?.runMs, ...runMs };
    const isTimed = Object.keys(times).length > 0;
    const next = { engine, backend, device, outcome, reason, ...(isTimed && { runMs: times }) };
    if (at === -1) reports.push(next);
    else reports[at] = next;
  };

  const running = new Set<Runner>();
  const endAll = (): Promise<unknown> => Promise.all([...running].map((runner) => runner.stop()));
  signal.addEventListener('abort', () => void endAll(), { once: true });
  async function end(runner: Runner): Promise<void> {
    await runner.stop();
    running.delete(runner);
  }

  /** Undefined when it cannot be had, which is reported. */
  async function load(candidate: FoundCandidate): Promise<Loaded | undefined> {
    if (candidate.absent !== undefined) {
      report(candidate, 'absent', candidate.absent);
      return undefined;
    }
    const runner = launch(candidate);
    running.add(runner);
    try {
      const info = await runner.ready();
      onLoaded(runner);
      if (info.device === candidate.device && info.backend === candidate.backend) return { candidate, runner, info };
      report(candidate, 'absent', info.reason);
    } catch (error) {
      const isAbsent = error instanceof SlipwayError && ['ENGINE_UNAVAILABLE', 'DEVICE_UNAVAILABLE'].includes(error.code);
      report(candidate, isAbsent ? 'absent' : 'failed', messageOf(error));
    }
    await end(runner);
    return undefined;
  }

  /** True when it takes the place of the fastest so far. */
  async function wins(best: Loaded, next: Loaded, samples: readonly Sample[], answers: readonly NamedTensors[]): Promise<boolean> {
    const { candidate, runner, info } = next;
    try {
      if (!isLike(best.info.signature, info.signature)) {
        report(candidate, 'differs', 'Its inputs or outputs have other names or types.');
        return false;
      }
      // One is enough of what turns out to be slow, for a slow run may take seconds.
      let difference = await disagreement(runner, samples.slice(0, 1), answers);
      if (difference !== undefined) {
        report(candidate, 'differs', difference);
        return false;
      }
      const names = [...answers[0]!.keys()];
      const { ratio, champion, challenger } = await duel(best.runner, runner, timed(samples), names, signal);
      const isFaster = ratio < CLEARLY;
      if (isFaster) difference = await disagreement(runner, samples, answers);
      if (difference !== undefined) {
        report(candidate, 'differs', difference, challenger);
        return false;
      }
      report(best.candidate, isFaster ? 'slower' : 'taken', '', champion);
      const beside = `${ratio.toPrecision(2)} times the time of ${nameOf(best.candidate)}.`;
      report(candidate, isFaster ? 'taken' : 'slower', beside, challenger);
      return isFaster;
    } catch (error) {
      signal.throwIfAborted();
      if (best.runner.status.state !== 'ready') throw error;
      report(candidate, 'failed', messageOf(error));
      return false;
    }
  }

  try {
    let best: Loaded | undefined;
    let tried: { samples: Sample[]; answers: NamedTensors[] } | undefined;
    for (const candidate of candidates) {
      signal.throwIfAborted();
      const next = await load(candidate);
      if (next === undefined) continue;
      if (best === undefined || tried === undefined) {
        best = next;
        tried = await samplesFor(next, folder);
        report(candidate, 'taken');
        if (tried.samples.length === 0)
          return { taken: undefined, candidates: reports, problem: 'It takes none of the inputs that are made up.' };
      } else if (await wins(best, next, tried.samples, tried.answers)) {
        await end(best.runner);
        best = next;
      } else await end(next.runner);
    }
    return { taken: best?.candidate, candidates: reports };
  } finally {
    await endAll();
  }
}
