import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { createLenet } from '../../../../scripts/digits/lenet.ts';
import type { TrainingOptions } from '../../../../src/compiler/compile-training.ts';
import { floats } from '../../../../src/compiler/graph/tensors.ts';
import { STEP } from '../../../../src/compiler/training/training-step.ts';
import type { TrainingSession } from '../../../../src/engines/onnx/training-session.ts';
import type { OptimizerSpec } from '../../../../src/engines/training/trainer.ts';
import type { NamedTensors } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { realDigits, SIDE } from '../../../helpers/digits.ts';
import { classes, inputsOf, openTraining } from '../../../helpers/training-step.ts';

const ADAM: OptimizerSpec = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 };

function mlp(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({
        name: 'hidden',
        units: 8,
        activation: 'tanh',
        inputShape: [3],
        kernelInitializer: tfl.initializers.glorotUniform({ seed: 1 }),
      }),
      tfl.layers.dense({ name: 'values', units: 2, kernelInitializer: tfl.initializers.glorotUniform({ seed: 2 }) }),
    ],
  });
}

describe('a training step as one graph', () => {
  it('gives the loss curve of tfjs for LeNet on real digits', async () => {
    await tf.setBackend('cpu');
    const [steps, batch, rate] = [4, 8, 0.002];
    const model = createLenet(1);
    const { session, input } = await openTraining(model, { loss: 'cross-entropy', optimizer: ADAM });
    model.compile({ optimizer: tf.train.adam(rate), loss: 'categoricalCrossentropy' });
    const { images, labels } = realDigits(4);
    const losses: number[] = [];
    try {
      for (let step = 1; step <= steps; step += 1) {
        const rows = Array.from({ length: batch }, (_row, at) => (at * 5 + step) % labels.length);
        const pixels = Float32Array.from(
          rows.flatMap((row) => [...images.subarray(row * SIDE * SIDE, (row + 1) * SIDE * SIDE)]),
          (level) => level / 255,
        );
        const target = rows.map((row) => labels[row]!);
        const results = await session.step(inputsOf(input, floats([batch, SIDE, SIDE, 1], pixels), classes(target), { rate, step }), [
          STEP.loss,
        ]);
        const x = tf.tensor4d(pixels, [batch, SIDE, SIDE, 1]);
        const y = tf.cast(tf.oneHot(tf.tensor1d(target, 'int32'), 10), 'float32');
        const expected = (await model.trainOnBatch(x, y)) as number;
        losses.push(expected);
        expect(Math.abs((results.get(STEP.loss)!.data[0] as number) - expected)).toBeLessThan(1e-3);
      }
      // So that the equal numbers are no coincidence of a step that does nothing.
      expect(new Set(losses).size).toBe(steps);
    } finally {
      await session.dispose();
    }
  });

  it('lowers the loss to that of a model that knows the digits', async () => {
    const { session, input } = await openTraining(createLenet(2), { loss: 'cross-entropy', optimizer: ADAM });
    const { images, labels } = realDigits(3);
    const x = floats(
      [30, SIDE, SIDE, 1],
      Float32Array.from(images, (level) => level / 255),
    );
    try {
      let loss = Number.NaN;
      for (let step = 1; step <= 60; step += 1)
        loss = (await session.step(inputsOf(input, x, classes(labels), { rate: 0.003, step }), [STEP.loss])).get(STEP.loss)!
          .data[0] as number;
      expect(loss).toBeLessThan(0.1);
    } finally {
      await session.dispose();
    }
  });

  it('trains a smaller last batch with the same graph, by weights of 0', async () => {
    const options: TrainingOptions = { loss: 'mean-squared-error', optimizer: ADAM, clipping: { norm: 1 } };
    const [part, filled] = [await openTraining(mlp(), options), await openTraining(mlp(), options)];
    const [x, y] = [randomNumbers(12, 3), randomNumbers(8, 4)];
    try {
      await part.session.step(
        inputsOf(part.input, floats([3, 3], x.slice(0, 9)), floats([3, 2], y.slice(0, 6)), { rate: 0.1, step: 1 }),
        [],
      );
      const weights = [1 / 3, 1 / 3, 1 / 3, 0];
      await filled.session.step(inputsOf(filled.input, floats([4, 3], x), floats([4, 2], y), { rate: 0.1, step: 1, weights }), []);
      const expected = part.session.state();
      for (const [name, { data }] of filled.session.state())
        for (const [at, value] of (data as Float32Array).entries()) expect(value).toBeCloseTo(expected.get(name)!.data[at] as number, 5);
    } finally {
      await Promise.all([part.session.dispose(), filled.session.dispose()]);
    }
  });

  it('goes on from a state that was kept', async () => {
    const options: TrainingOptions = { loss: 'huber', optimizer: ADAM };
    const [one, other] = [await openTraining(mlp(), options), await openTraining(mlp(), options)];
    const [x, y] = [floats([4, 3], randomNumbers(12, 3)), floats([4, 2], randomNumbers(8, 4))];
    const copyOf = (state: NamedTensors): NamedTensors =>
      new Map([...state].map(([name, tensor]) => [name, { ...tensor, data: (tensor.data as Float32Array).slice() }]));
    const step = (session: TrainingSession, input: string, count: number) =>
      session.step(inputsOf(input, x, y, { rate: 0.1, step: count }), []);
    try {
      for (const count of [1, 2, 3]) await step(one.session, one.input, count);
      other.session.restore(copyOf(one.session.state()));
      for (const count of [4, 5]) {
        await step(one.session, one.input, count);
        await step(other.session, other.input, count);
      }
      expect(copyOf(other.session.state())).toEqual(copyOf(one.session.state()));
    } finally {
      await Promise.all([one.session.dispose(), other.session.dispose()]);
    }
  });

  it('leaves frozen weights as they are', async () => {
    const model = mlp();
    model.layers[0]!.trainable = false;
    const { session, input } = await openTraining(model, { loss: 'huber', optimizer: ADAM });
    const copy = (): Map<string, Float32Array> =>
      new Map([...session.state()].map(([name, { data }]) => [name, (data as Float32Array).slice()]));
    const before = copy();
    expect([...before.keys()].filter((name) => /^hidden.*\/(first|second)$/.test(name))).toEqual([]);
    await session.step(
      inputsOf(input, floats([4, 3], randomNumbers(12, 3)), floats([4, 2], randomNumbers(8, 4)), { rate: 0.1, step: 1 }),
      [],
    );
    for (const [name, data] of copy()) {
      if (name.startsWith('hidden')) expect(data, name).toEqual(before.get(name));
      else expect(data, name).not.toEqual(before.get(name));
    }
    await session.dispose();
  });

  it.each<[string, tfl.layers.Layer, RegExp]>([
    [
      'a penalty inside of a cell',
      tfl.layers.rnn({
        name: 'r',
        cell: tfl.layers.gruCell({ units: 2, kernelRegularizer: tfl.regularizers.l2(), recurrentInitializer: 'glorotNormal' }),
      }),
      /layer "r" \(RNN\): its cell adds a penalty to the loss \("kernel_regularizer"\)/,
    ],
    [
      'random numbers inside of a recurrent layer',
      tfl.layers.lstm({ name: 'l', units: 2, dropout: 0.5, recurrentInitializer: 'glorotNormal' }),
      /layer "l" \(LSTM\): drops inputs at random \("dropout"\)/,
    ],
    [
      'random numbers inside of a layer over images',
      tfl.layers.convLstm2d({ name: 'c', filters: 1, kernelSize: 1, recurrentDropout: 0.5, recurrentInitializer: 'glorotNormal' }),
      /layer "c" \(ConvLSTM2D\): drops inputs at random \("recurrent_dropout"\)/,
    ],
  ])('refuses a layer with %s', async (_what, layer, message) => {
    const shapes: Readonly<Record<string, number[]>> = { LSTM: [2, 2], RNN: [2, 2], ConvLSTM2D: [1, 2, 2, 1] };
    const first = tfl.layers.reshape({ inputShape: [4], targetShape: shapes[layer.getClassName()] ?? [4] });
    const model = tfl.sequential({ layers: [first, layer] });
    await expect(openTraining(model, { loss: 'huber', optimizer: ADAM })).rejects.toThrow(message);
  });
});
