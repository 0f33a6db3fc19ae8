import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch, Examples, Preparation, Split, TargetSpec } from '../../datasets/dataset.ts';
import { isWeightState } from '../../engines/training/state-names.ts';
import type { Trainer, TrainerState, TrainingBatch } from '../../engines/training/trainer.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { type AugmentImages, createAugmentImages } from './augmentation/augment-images.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Lessons } from './distillation/lessons.ts';
import { type Best, judge } from './early-stopping.ts';
import { createMeter, type Meter, type MeterState } from './metrics.ts';
import { createLearningRate } from './schedule.ts';
import type { TrainSpec } from './spec.ts';

/** The metrics of an epoch, of training and, with the prefix `validation-`, of the validation rows. */
export interface EpochMetrics {
  readonly epoch: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Where a training is. Epochs count from 0 here, steps from 1. */
export interface TrainingProgress {
  readonly epoch: number;
  /** Batches of this epoch that are done. */
  readonly batches: number;
  /** Steps done over all. */
  readonly step: number;
  readonly meter: MeterState | undefined;
  readonly history: readonly EpochMetrics[];
  readonly best: Best | undefined;
  /** No more epochs are to come. */
  readonly finished: boolean;
}

/** What the loop itself needs of a spec. */
type TrainingSpec = Pick<
  TrainSpec,
  'batchSize' | 'epochs' | 'optimizer' | 'schedule' | 'warmupSteps' | 'earlyStopping' | 'augmentation' | 'seed'
>;

export interface TrainOptions {
  readonly trainer: Trainer;
  readonly examples: Examples;
  readonly spec: TrainingSpec;
  /** What a teacher gives to each batch; no teacher when left out. */
  readonly lessons?: Lessons | undefined;
  /** Where to go on; from the start when left out. */
  readonly checkpoint: Checkpoint<TrainingProgress> | undefined;
  readonly saveCheckpoint: (checkpoint: Checkpoint<TrainingProgress>) => Promise<void>;
  /** Least time between checkpoints, in milliseconds. 0 makes one after each step. */
  readonly checkpointMs: number;
  readonly onProgress: (report: ProgressReport) => void;
  readonly onEpoch: (epoch: EpochMetrics) => void;
  readonly signal: AbortSignal;
}

export interface ProgressReport {
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly examplesPerSecond: number;
  /** Time left when it goes on like this, in seconds. */
  readonly etaSeconds: number;
}

/** Least time between reports of progress, in milliseconds. */
const PROGRESS_MS = 500;

/** The batch as the trainer takes it: numbers that are predicted are scaled to mean 0 and deviation 1. */
function trainingBatch({ inputs, target }: Batch, spec: TargetSpec): TrainingBatch {
  if (target === undefined) throw new SlipwayError('UNSUITABLE_DATA', 'The dataset has no target.');
  const [input] = inputs;
  if (spec.kind !== 'number') return { inputs: input!, target };
  const { mean, std } = spec;
  return { inputs: input!, target: { shape: target.shape, data: Float32Array.from(target.data, (value) => (value - mean) / std) } };
}

/** What changes the images of a training; undefined when nothing does. */
function augmentationOf({ augmentation, seed }: TrainingSpec, { preprocessing }: Preparation): AugmentImages | undefined {
  if (augmentation === undefined) return undefined;
  if (preprocessing.kind !== 'image')
    throw new SlipwayError('UNSUITABLE_DATA', `augmentation is for images; the model is trained on a ${preprocessing.kind}.`);
  return createAugmentImages(augmentation, { ...preprocessing, order: preprocessing.layout }, seed);
}

/** Measures a split, as the model is served. */
export async function evaluate(trainer: Trainer, examples: Examples, split: Split, batchSize: number, signal: AbortSignal): Promise<Meter> {
  const { target } = examples.preparation;
  const meter = createMeter(target);
  for await (const batch of examples.batches({ split, batchSize })) {
    signal.throwIfAborted();
    const { inputs, target: actual } = trainingBatch(batch, target);
    const { loss, outputs } = await trainer.evaluate({ inputs, target: actual });
    meter.add(outputs, actual.data, batch.size, loss);
    await nextTurn();
  }
  return meter;
}

/** Only the weights: the best epoch's are taken at the end, when the optimizer's memory is of no use. */
function weightsOf(state: TrainerState): TrainerState {
  return new Map([...state].filter(([name]) => isWeightState(name)));
}

/**
 * Trains until the last epoch or until nothing gets better, and leaves the weights that are to be kept in the trainer. With
 * a checkpoint it goes on as if there had been no interruption: the same batches in the same order, the same numbers.
 * @throws SlipwayError TRAINING_DIVERGED
 */
export async function train(options: TrainOptions): Promise<readonly EpochMetrics[]> {
  const { trainer, examples, spec, lessons, checkpoint, saveCheckpoint, checkpointMs, onProgress, onEpoch, signal } = options;
  const { target, rows } = examples.preparation;
  const batchSize = spec.batchSize === 'all' ? rows.train : Math.min(spec.batchSize, rows.train);
  const stepsPerEpoch = Math.ceil(rows.train / batchSize);
  const steps = stepsPerEpoch * spec.epochs;
  const rateOf = createLearningRate({ ...spec, learningRate: spec.optimizer.learningRate, stepsPerEpoch });
  const augment = augmentationOf(spec, examples.preparation);
  const begun = checkpoint?.progress;
  const history: EpochMetrics[] = [...(begun?.history ?? [])];
  let best = begun?.best;
  let bestState: TrainerState = checkpoint?.best ?? new Map();
  let step = begun?.step ?? 0;
  if (checkpoint !== undefined) trainer.restore(checkpoint.state);

  const startedAt = performance.now();
  const firstStep = step;
  let examplesDone = 0;
  let reportedAt = 0;
  let savedAt = performance.now();

  const save = async (at: Pick<TrainingProgress, 'epoch' | 'batches' | 'meter' | 'finished'>): Promise<void> => {
    await saveCheckpoint({ progress: { ...at, step, history, best }, state: trainer.state(), best: bestState });
    savedAt = performance.now();
  };

  function report(epoch: number, loss: number, learningRate: number): void {
    const now = performance.now();
    if (now - reportedAt < PROGRESS_MS) return;
    reportedAt = now;
    const seconds = (now - startedAt) / 1_000;
    onProgress({
      epoch: epoch + 1,
      epochs: spec.epochs,
      step,
      steps,
      loss,
      learningRate,
      examplesPerSecond: Math.round(examplesDone / seconds),
      etaSeconds: Math.round(((steps - step) * seconds) / (step - firstStep)),
    });
  }

  async function runEpoch(epoch: number, from: number, meter: Meter): Promise<void> {
    let batches = from;
    for await (const batch of examples.batches({ split: 'train', batchSize, shuffle: { seed: spec.seed, epoch }, skip: from })) {
      signal.throwIfAborted();
      step += 1;
      const learningRate = rateOf(step);
      const { inputs, target: actual } = trainingBatch(batch, target);
      augment?.(inputs.data as Float32Array, batch.size, epoch, batches * batchSize);
      const teacher = await lessons?.(inputs);
      const { loss, outputs } = await trainer.step({ inputs, target: actual, teacher }, { learningRate, step });
      if (!Number.isFinite(loss)) {
        throw new SlipwayError(
          'TRAINING_DIVERGED',
          `The loss became ${loss} at step ${step} (epoch ${epoch + 1}) with the learning rate ${learningRate}. A smaller learning rate or "clipping": {"norm": 1} keeps it finite.`,
        );
      }
      meter.add(outputs, actual.data, batch.size, loss);
      batches += 1;
      examplesDone += batch.size;
      report(epoch, loss, learningRate);
      if (batches < stepsPerEpoch && performance.now() - savedAt >= checkpointMs)
        await save({ epoch, batches, meter: meter.state(), finished: false });
      // Messages, such as that the job is cancelled, come in between.
      await nextTurn();
    }
  }

  for (let epoch = begun?.epoch ?? 0; epoch < spec.epochs && begun?.finished !== true; epoch += 1) {
    const isFirst = epoch === begun?.epoch;
    const meter = createMeter(target, isFirst ? begun.meter : undefined);
    await runEpoch(epoch, isFirst ? begun.batches : 0, meter);
    const measured = rows.validation === 0 ? undefined : (await evaluate(trainer, examples, 'validation', batchSize, signal)).metrics();
    const metrics = {
      ...meter.metrics(),
      ...(measured && Object.fromEntries(Object.entries(measured).map(([name, value]) => [`validation-${name}`, value]))),
    };
    history.push({ epoch: epoch + 1, metrics });
    let finished = epoch + 1 === spec.epochs;
    if (spec.earlyStopping !== undefined) {
      const verdict = judge(spec.earlyStopping, best, epoch + 1, measured ?? metrics);
      best = verdict.best;
      finished ||= verdict.stop;
      if (verdict.improved && spec.earlyStopping.restoreBest) bestState = weightsOf(trainer.state());
    }
    onEpoch(history.at(-1)!);
    if (finished || performance.now() - savedAt >= checkpointMs) await save({ epoch: epoch + 1, batches: 0, meter: undefined, finished });
    if (finished) break;
  }
  if (bestState.size > 0) trainer.restore(bestState);
  return history;
}
