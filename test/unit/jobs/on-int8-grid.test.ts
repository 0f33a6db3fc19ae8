import { afterEach, describe, expect, it } from 'vitest';
import type { InputSpec, TargetSpec } from '../../../src/datasets/dataset.ts';
import type { Trainer, TrainerSpec, TrainingBatch } from '../../../src/engines/training/trainer.ts';
import { weightsIn } from '../../../src/jobs/child/optimize/fine-tune.ts';
import { onInt8Grid, toInt8Grid } from '../../../src/jobs/child/optimize/on-int8-grid.ts';
import { onnxTrainer } from '../../../src/jobs/child/train/onnx-trainer.ts';
import { layersOf } from '../../../src/jobs/training/architectures/layers-of.ts';
import { int8Weights } from '../../../src/optimization/quantization/scales.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../helpers/compiled-model.ts';

const [ROWS, WIDTH] = [24, 5];
const TARGET: TargetSpec = { kind: 'class', column: 'kind', labels: ['a', 'b', 'c'], counts: [8, 8, 8] };
const INPUT: InputSpec = { name: 'features', dtype: 'FP32', shape: [WIDTH] };
const SPEC: TrainerSpec = {
  layers: layersOf({ kind: 'mlp', hidden: [6], embedding: 4, activation: 'relu', dropout: 0 }, INPUT, TARGET, 2),
  loss: 'cross-entropy',
  optimizer: { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
  clipping: {},
  frozen: [],
  seed: 2,
};
const BATCH: TrainingBatch = {
  inputs: { shape: [ROWS, WIDTH], data: Float32Array.from(randomNumbers(ROWS * WIDTH, 3)) },
  target: { shape: [ROWS], data: Int32Array.from({ length: ROWS }, (_row, row) => row % 3) },
};
const ROUNDED: ReadonlySet<string> = new Set(['dense_1/kernel', 'probabilities/kernel']);

const opened: Trainer[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((trainer) => trainer.dispose()));
});

async function kernelsAfter(steps: number, learningRate: number, perChannel = true): Promise<Map<string, Tensor>> {
  const trainer = await onnxTrainer(1)(SPEC);
  opened.push(trainer);
  const guarded = onInt8Grid(trainer, { rounded: ROUNDED, perChannel, reduceRange: false });
  for (let step = 1; step <= steps; step += 1) await guarded.step(BATCH, { learningRate, step });
  return weightsIn(trainer.state());
}

const largest = (one: Tensor, other: Tensor): number =>
  Math.max(...(one.data as Float32Array).map((value, at) => Math.abs(value - (other.data as Float32Array)[at]!)));

describe('training on the grid of int8', () => {
  it.each([true, false])('leaves the very numbers that int8 stores, with its scales; per channel: %s', async (perChannel) => {
    const weights = await kernelsAfter(5, 0.05, perChannel);
    for (const name of ROUNDED) {
      const weight = weights.get(name)!;
      expect(largest(weight, toInt8Grid(weight, { perChannel, reduceRange: false })), name).toBeLessThan(1e-6);
      const { data, scales } = int8Weights(weight, { axis: perChannel ? 1 : undefined, most: 127 });
      expect(scales).toHaveLength(perChannel ? weight.shape[1]! : 1);
      for (const [at, value] of (weight.data as Float32Array).entries())
        expect(data[at]! * scales[perChannel ? at % scales.length : 0]!).toBeCloseTo(value, 6);
    }
  });

  it('adds up changes that are too small to be seen after a step', async () => {
    const [first, some, many] = [await kernelsAfter(1, 1e-3), await kernelsAfter(2, 1e-3), await kernelsAfter(400, 1e-3)];
    const [name] = ROUNDED as unknown as Iterable<string>;
    const scale = Math.max(...int8Weights(first.get(name!)!, { axis: 1, most: 127 }).scales);
    // A step of the grid is some hundredths of the largest weight; one of the training is far less.
    expect(largest(first.get(name!)!, some.get(name!)!)).toBeLessThanOrEqual(scale * 1.01);
    expect(largest(first.get(name!)!, many.get(name!)!)).toBeGreaterThan(scale * 2.5);
  });
});
