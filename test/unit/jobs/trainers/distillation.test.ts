import { afterEach, describe, expect, it } from 'vitest';
import type { InputSpec, TargetSpec } from '../../../../src/datasets/dataset.ts';
import type { CreateTrainer, Trainer, TrainerSpec, TrainingBatch } from '../../../../src/engines/training/trainer.ts';
import { trainerOf } from '../../../../src/jobs/child/train/choose-trainer.ts';
import { onnxTrainer } from '../../../../src/jobs/child/train/onnx-trainer.ts';
import { layersOf } from '../../../../src/jobs/training/architectures/layers-of.ts';
import { softTargets } from '../../../../src/jobs/training/distillation/soft-targets.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';

const [ROWS, WIDTH, CLASSES] = [22, 6, 4];
const TARGET: TargetSpec = { kind: 'class', column: 'kind', labels: ['a', 'b', 'c', 'd'], counts: [6, 6, 5, 5] };
const INPUT: InputSpec = { name: 'features', dtype: 'FP32', shape: [WIDTH] };
const [TEMPERATURE, WEIGHT] = [3, 0.7];
const CLASS_WEIGHTS = [2, 1, 0.5, 1];

const opened: Trainer[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((trainer) => trainer.dispose()));
});

function specOf(changes: Partial<TrainerSpec> = {}): TrainerSpec {
  return {
    layers: layersOf({ kind: 'mlp', hidden: [8], embedding: 4, activation: 'relu', dropout: 0 }, INPUT, TARGET, 3),
    loss: 'cross-entropy',
    distillation: { temperature: TEMPERATURE, weight: WEIGHT },
    classWeights: CLASS_WEIGHTS,
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 },
    clipping: {},
    frozen: [],
    seed: 3,
    ...changes,
  };
}

/** Rows of random numbers, and the scores of a teacher that has seen others. */
function batchOf(seed: number): TrainingBatch & { readonly teacher: NonNullable<TrainingBatch['teacher']> } {
  const scores = randomNumbers(ROWS * CLASSES, seed + 100).map((value) => value * 4);
  const order = [0, 1, 2, 3];
  return {
    inputs: { shape: [ROWS, WIDTH], data: Float32Array.from(randomNumbers(ROWS * WIDTH, seed)) },
    target: { shape: [ROWS], data: Int32Array.from({ length: ROWS }, (_row, row) => (row * 7 + seed) % CLASSES) },
    teacher: { shape: [ROWS, CLASSES], data: softTargets(scores, { kind: 'logits', order }, TEMPERATURE) },
  };
}

async function open(create: CreateTrainer, spec: TrainerSpec): Promise<Trainer> {
  const trainer = await create(spec);
  opened.push(trainer);
  return trainer;
}

/** weight · T² · KL + (1 − weight) · cross-entropy, by the probabilities that the model gave at the temperature 1. */
function lossByHand({ target, teacher }: ReturnType<typeof batchOf>, outputs: Float32Array): number {
  let sum = 0;
  for (let row = 0; row < ROWS; row += 1) {
    const logits = Array.from(outputs.subarray(row * CLASSES, (row + 1) * CLASSES), Math.log);
    const scaled = logits.map((logit) => Math.exp(logit / TEMPERATURE));
    const total = scaled.reduce((all, value) => all + value, 0);
    const divergence = scaled.reduce((all, value, at) => {
      const p = teacher.data[row * CLASSES + at]!;
      return all + p * (Math.log(p) - Math.log(value / total));
    }, 0);
    const label = target.data[row]!;
    sum += CLASS_WEIGHTS[label]! * (WEIGHT * TEMPERATURE ** 2 * divergence - (1 - WEIGHT) * logits[label]!);
  }
  return sum / ROWS;
}

async function curve(create: CreateTrainer, spec: TrainerSpec): Promise<number[]> {
  const trainer = await open(create, spec);
  const losses: number[] = [];
  for (let step = 1; step <= 12; step += 1) losses.push((await trainer.step(batchOf(step % 3), { learningRate: 0.05, step })).loss);
  return losses;
}

describe('distillation', () => {
  it.each<[string, CreateTrainer]>([
    ['onnx', onnxTrainer(1)],
    ['tfjs', trainerOf('tfjs', 1)],
  ])('%s computes weight · T² · KL + (1 − weight) · cross-entropy; what it measures is cross-entropy', async (_name, create) => {
    const trainer = await open(create, specOf());
    const batch = batchOf(1);
    const { loss, outputs } = await trainer.step(batch, { learningRate: 0, step: 1 });
    expect(loss).toBeCloseTo(lossByHand(batch, outputs), 4);
    const measured = await trainer.evaluate({ inputs: batch.inputs, target: batch.target });
    const plain = await open(create, specOf({ distillation: undefined }));
    plain.restore(trainer.state());
    expect(measured.loss).toBeCloseTo((await plain.evaluate(batch)).loss, 6);
  });

  it('gives the same losses on every engine, in parts and on threads', async () => {
    const expected = await curve(onnxTrainer(1), specOf());
    expect(expected.at(-1)).toBeLessThan(expected[0]!);
    for (const found of [
      await curve(trainerOf('tfjs', 1), specOf()),
      await curve(onnxTrainer(2), specOf()),
      await curve(onnxTrainer(1), specOf({ microBatches: 3 })),
      await curve(trainerOf('tfjs', 1), specOf({ microBatches: 3 })),
    ])
      for (const [step, loss] of expected.entries()) expect(found[step], `step ${step + 1}`).toBeCloseTo(loss, 4);
  });

  it('with the whole weight follows the teacher, whatever the classes are', async () => {
    const trainer = await open(onnxTrainer(1), specOf({ distillation: { temperature: 1, weight: 1 }, classWeights: undefined }));
    const batch = batchOf(1);
    const steps = Array.from({ length: 400 }, (_step, index) => index + 1);
    let last = Infinity;
    for (const step of steps) last = (await trainer.step(batch, { learningRate: 0.1, step })).loss;
    // The divergence of probabilities that are nearly the same is nearly 0; a cross-entropy would not be.
    expect(last).toBeLessThan(0.3);
    const { outputs } = await trainer.evaluate(batch);
    const agreed = Array.from({ length: ROWS }, (_row, row) => {
      const part = (values: ArrayLike<number>): number[] => Array.from(values).slice(row * CLASSES, (row + 1) * CLASSES);
      const likeliest = (values: number[]): number => values.indexOf(Math.max(...values));
      return likeliest(part(outputs)) === likeliest(part(batch.teacher.data));
    });
    expect(agreed.filter(Boolean).length).toBeGreaterThan(ROWS * 0.8);
  });
});

describe('soft targets', () => {
  it('are the same of logits and of their probabilities, in the order of the data', () => {
    const logits = [2, -1, 0.5, 4, 0, 0];
    const order = [2, 0, 1];
    const probabilities = [logits.slice(0, 3), logits.slice(3)].flatMap((row) => {
      const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
      return row.map((value) => Math.exp(value) / total);
    });
    const ofLogits = softTargets(logits, { kind: 'logits', order }, 2);
    const ofProbabilities = softTargets(probabilities, { kind: 'probabilities', order }, 2);
    for (const [at, value] of ofLogits.entries()) expect(ofProbabilities[at]).toBeCloseTo(value, 6);
    const scaled = [0.5, 2, -1].map((value) => Math.exp(value / 2));
    expect(ofLogits[0]).toBeCloseTo(scaled[0]! / (scaled[0]! + scaled[1]! + scaled[2]!), 6);
  });

  it('are numbers where a teacher is sure', () => {
    expect([...softTargets([1, 0, 0], { kind: 'probabilities', order: [0, 1, 2] }, 4)].every(Number.isFinite)).toBe(true);
  });
});
