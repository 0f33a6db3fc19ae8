import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LoadedModel } from '../../../engines/engine.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { comparePairedLatency, medianOf } from '../../../optimization/gate/paired-latency.ts';
import type { BatchLatency } from '../../../optimization/gate/verdict.ts';
import type { VersionManifest } from '../../../packages/manifest.ts';
import type { NamedTensors } from '../../../tensor/tensor.ts';
import type { ModelRows } from './model-rows.ts';

const MEASURED_BATCHES = [1, 32] as const;
const ROUNDS = 25;
/** A block of runs takes about so long, in milliseconds: a clock says little of one run of microseconds. */
const BLOCK_MS = 4;
const WARM_UP_RUNS = 5;

/** The size of batches that a model takes, when it takes no other. */
export function fixedBatchOf({ signature }: LoadedModel): number | undefined {
  return signature.inputs.map(({ shape }) => shape?.[0] ?? -1).find((size) => size >= 0);
}

/** The sizes of batches that a model is measured with: its own one where it takes no other. */
function batchesOf(model: LoadedModel): readonly number[] {
  const fixed = fixedBatchOf(model);
  return fixed === undefined ? MEASURED_BATCHES : [fixed];
}

/** The output that has the scores of a classifier. @throws SlipwayError UNSUITABLE_DATA when that is not said */
export function scoresOutput({ signature: { outputs } }: LoadedModel, { classification }: Pick<VersionManifest, 'classification'>): string {
  if (classification?.output !== undefined) return classification.output;
  if (outputs.length === 1) return outputs[0]!.name;
  throw new SlipwayError(
    'UNSUITABLE_DATA',
    `The model has several outputs; "classification.output" in slipway.json says which has the scores: ${outputs.map(({ name }) => name).join(', ')}.`,
  );
}

/** Stands for the class of a row whose scores are not all numbers: it is never the right one. */
const NO_CLASS = -1;

function likeliest(scores: Float32Array | Float64Array): number {
  let best = 0;
  for (const [label, score] of scores.entries()) {
    if (Number.isNaN(score)) return NO_CLASS;
    if (score > scores[best]!) best = label;
  }
  return best;
}

/**
 * The class that the model gives to each row; -1 where it gives no numbers.
 * @throws SlipwayError UNSUITABLE_DATA when its output is no scores of as many classes as the rows have
 */
export async function classesOf(model: LoadedModel, manifest: VersionManifest, rows: ModelRows, signal: AbortSignal): Promise<Int32Array> {
  const output = scoresOutput(model, manifest);
  const size = batchesOf(model).at(-1)!;
  const labels = rows.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const found = new Int32Array(rows.count);
  for (let from = 0; from < rows.count; from += size) {
    signal.throwIfAborted();
    const taken = Math.min(size, rows.count - from);
    // A model that takes batches of any size gets the last one as it is.
    const run = batchesOf(model).length > 1 ? taken : size;
    const { shape, data, dtype } = (await model.run(rows.batch(from, run), [output])).get(output)!;
    const classes = shape.at(-1) ?? 0;
    if ((dtype !== 'FP32' && dtype !== 'FP64') || shape.length !== 2 || shape[0] !== run)
      throw new SlipwayError(
        'UNSUITABLE_DATA',
        `The output "${output}" is ${dtype} of the shape [${shape.join(', ')}]; a classifier gives scores [rows, classes].`,
      );
    // With one score a row, or fewer than there are classes, nothing tells the classes apart.
    if (classes < Math.max(2, labels))
      throw new SlipwayError(
        'UNSUITABLE_DATA',
        `The output "${output}" has ${classes} scores a row, and the data ${labels} classes; a classifier gives one for each class.`,
      );
    const scores = data as Float32Array | Float64Array;
    for (let row = 0; row < taken; row += 1) found[from + row] = likeliest(scores.subarray(row * classes, (row + 1) * classes));
    await nextTurn();
  }
  return found;
}

type Run = () => Promise<unknown>;

async function blockMs(run: Run, runs: number): Promise<number> {
  const start = performance.now();
  for (let count = 0; count < runs; count += 1) await run();
  return (performance.now() - start) / runs;
}

function runnerOf(model: LoadedModel, inputs: NamedTensors): Run {
  const outputs = model.signature.outputs.map(({ name }) => name);
  return () => model.run(inputs, outputs);
}

/** Runs of a block, by the time of one. */
function runsIn(ms: number): number {
  return Math.max(1, Math.round(BLOCK_MS / ms));
}

/** Median times of one run, in milliseconds, for each size of batches. */
export async function latenciesOf(model: LoadedModel, rows: ModelRows, signal: AbortSignal): Promise<{ batch: number; ms: number }[]> {
  const latencies: { batch: number; ms: number }[] = [];
  for (const batch of batchesOf(model)) {
    const run = runnerOf(model, rows.batch(0, batch));
    const runs = runsIn(await blockMs(run, WARM_UP_RUNS));
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      rounds.push(await blockMs(run, runs));
      await nextTurn();
    }
    latencies.push({ batch, ms: medianOf(rounds) });
  }
  return latencies;
}

/**
 * Times two models by turns, block by block, so that what slows the machine down meets both alike.
 * @returns for each size of batches
 */
export async function comparedLatencies(
  parent: LoadedModel,
  variant: LoadedModel,
  rows: ModelRows,
  signal: AbortSignal,
): Promise<BatchLatency[]> {
  const latencies: BatchLatency[] = [];
  for (const batch of batchesOf(parent)) {
    const inputs = rows.batch(0, batch);
    const [runParent, runVariant] = [runnerOf(parent, inputs), runnerOf(variant, inputs)];
    const runs = runsIn(Math.max(await blockMs(runParent, WARM_UP_RUNS), await blockMs(runVariant, WARM_UP_RUNS)));
    const rounds: { parentMs: number; ms: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      // Who goes first changes, so that neither always comes after the other.
      if (round % 2 === 0) {
        const parentMs = await blockMs(runParent, runs);
        rounds.push({ parentMs, ms: await blockMs(runVariant, runs) });
      } else {
        const ms = await blockMs(runVariant, runs);
        rounds.push({ parentMs: await blockMs(runParent, runs), ms });
      }
      await nextTurn();
    }
    latencies.push({ batch, ...comparePairedLatency(rounds) });
  }
  return latencies;
}
