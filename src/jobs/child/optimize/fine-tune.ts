import { isWeightState } from '../../../engines/training/state-names.ts';
import type { Trainer, TrainerState } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { LayersModel } from '../../../optimization/pruning/layers-model.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { layersOf } from '../../training/architectures/layers-of.ts';
import { openFineTuning } from '../../training/fine-tuning/fine-tuning.ts';
import { train } from '../../training/train.ts';
import { trainerOf } from '../train/choose-trainer.ts';
import { type FineTuning, inapplicable } from './technique.ts';

const ADAM = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

export interface FineTuneOptions extends FineTuning {
  readonly signal: AbortSignal;
  /** Stands in for the trainer. @param steps how many there will be */
  readonly guard?: ((trainer: Trainer, steps: number) => Trainer) | undefined;
}

/** How long, and taught by whom, in words: `5 epochs`. */
export function shownEpochs({ epochs, lessons }: Pick<FineTuning, 'epochs' | 'lessons'>): string {
  return `${epochs} epochs${lessons === undefined ? '' : ', taught by the version'}`;
}

/** Weights out of the state of a trainer, by the names of the files. */
export function weightsIn(state: TrainerState): Map<string, Tensor> {
  return new Map(
    [...state]
      .filter(([name]) => isWeightState(name))
      .map(([name, { shape, data }]) => [name.slice(name.indexOf('/') + 1), { dtype: 'FP32', shape, data: data as Float32Array }]),
  );
}

/**
 * Trains a TF.js layers model further on the classes that it has, by Adam on cross-entropy. Of a model without a guard the
 * weights of the best epoch are taken, as the validation rows tell.
 * @param folder of the version
 * @returns the model with its new weights; what the file says of its layers stays
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE for a model that cannot be trained, TRAINING_DIVERGED
 */
export async function fineTune(folder: string, model: LayersModel, options: FineTuneOptions): Promise<LayersModel> {
  const { examples, epochs, batchSize, learningRate, seed, threads, signal, guard, teacher, lessons } = options;
  const { preparation } = examples;
  const tuning = await openFineTuning({ kind: 'version', model: 'variant', version: 1, frozen: [] }, folder).catch((error: unknown) => {
    if (!(error instanceof SlipwayError && error.code === 'INVALID_ARCHITECTURE')) throw error;
    throw inapplicable(`what is left cannot be trained further (${error.message}); with "fineTuning":{"epochs":0} it is pruned alone`);
  });
  const tuned = tuning.layers(preparation);
  if (tuned.newHead !== undefined)
    throw inapplicable('it cannot be fine-tuned: its last layer gives no probabilities of the classes of the data');
  const trainer = await trainerOf(
    'auto',
    threads,
  )({
    layers: layersOf({ kind: 'layers', layers: tuned.layers as never }, preparation.inputs[0]!, preparation.target, seed),
    loss: 'cross-entropy',
    ...(lessons && { distillation: teacher }),
    optimizer: ADAM,
    clipping: {},
    frozen: [],
    seed,
  });
  try {
    tuning.begin(trainer, tuned);
    const { rows } = preparation;
    const steps = epochs * Math.ceil(rows.train / Math.min(batchSize, rows.train));
    await train({
      trainer: guard?.(trainer, steps) ?? trainer,
      lessons,
      examples,
      spec: {
        epochs,
        batchSize,
        seed,
        optimizer: { ...ADAM, learningRate },
        schedule: { kind: 'cosine', final: 0 },
        warmupSteps: 0,
        ...(guard === undefined &&
          rows.validation > 0 && { earlyStopping: { metric: 'accuracy', patience: epochs, minDelta: 0, restoreBest: true } }),
      },
      checkpoint: undefined,
      saveCheckpoint: async () => {},
      checkpointMs: Infinity,
      onProgress: () => {},
      onEpoch: () => {},
      signal,
    });
    const trained = weightsIn(trainer.state());
    return { ...model, weights: new Map([...model.weights].map(([name, weight]) => [name, trained.get(name) ?? weight])) };
  } finally {
    await trainer.dispose();
  }
}
