import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { floats } from '../../../../src/compiler/graph/tensors.ts';
import { STEP } from '../../../../src/compiler/training/training-step.ts';
import { TransformerEncoder } from '../../../../src/engines/tfjs/layers/transformer.ts';
import { registerLayers } from '../../../../src/engines/tfjs/layers/register.ts';
import type { AdamSpec, OptimizerSpec } from '../../../../src/engines/training/trainer.ts';
import type { StoredWeight } from '../../../../src/packages/tfjs/decode-weights.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { randomNumbers, randomTensor, type SavedModel, savedModel, withRandomWeights } from '../../../helpers/compiled-model.ts';
import { expectSameSteps } from '../../../helpers/same-steps.ts';
import { classes, inputsOf, openSavedTraining, openTraining } from '../../../helpers/training-step.ts';

/** One step changes a weight by its gradient, at a rate of 1. */
const SGD: OptimizerSpec = { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 };
const ADAM: AdamSpec<'adam'> = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 };
const KINDS = ['simpleRNN', 'gru', 'lstm'] as const;
const [BATCH, TIME] = [4, 5];

registerLayers();

/** The initializers of tfjs' own choice need more of tfjs than the tests load. */
const initializers = { recurrentInitializer: 'glorotNormal' as const };
const small = fc.integer({ min: 1, max: 4 });

/** Whole numbers of which some are 0: at the end, in between, and all of one row. */
function tokens(seed: number): Tensor {
  const data = randomNumbers(BATCH * TIME, seed).map((value) => (value < 0 ? 0 : Math.ceil(value * 5)));
  data.fill(0, 0, TIME);
  data.fill(3, TIME, 2 * TIME - 2);
  return { dtype: 'FP32', shape: [BATCH, TIME], data };
}

describe.each(KINDS)('%s is trained as tfjs trains it', (kind) => {
  it('with masks, sequences, both directions and several layers', async () => {
    await tf.setBackend('cpu');
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer({ min: 1, max: 1e6 }),
          masked: fc.boolean(),
          stacked: fc.boolean(),
          bidirectional: fc.boolean(),
          units: small,
          activation: fc.constantFrom('tanh' as const, 'sigmoid' as const, 'softsign' as const, 'hardSigmoid' as const),
          recurrentActivation: fc.constantFrom('sigmoid' as const, 'hardSigmoid' as const, 'tanh' as const),
          useBias: fc.boolean(),
          returnSequences: fc.boolean(),
          goBackwards: fc.boolean(),
        }),
        async ({ seed, masked, stacked, bidirectional, ...config }) => {
          const layer = tfl.layers[kind]({ ...config, ...initializers });
          const layers = [
            tfl.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: masked, inputShape: [TIME] }),
            ...(stacked ? [tfl.layers[kind]({ ...config, ...initializers, returnSequences: true })] : []),
            bidirectional ? tfl.layers.bidirectional({ layer, mergeMode: 'concat' }) : layer,
            config.returnSequences ? tfl.layers.timeDistributed({ layer: tfl.layers.dense({ units: 2 }) }) : tfl.layers.dense({ units: 2 }),
          ];
          const model = withRandomWeights(tfl.sequential({ layers }), seed);
          const shape = config.returnSequences ? [BATCH, TIME, 2] : [BATCH, 2];
          await expectSameSteps(model, tokens(seed), randomTensor(shape, seed + 1));
        },
      ),
      { numRuns: 10 },
    );
  }, 60_000);
});

it('a stack of cells is trained as tfjs trains it', async () => {
  await tf.setBackend('cpu');
  const cells = KINDS.map((kind, index) => tfl.layers[`${kind}Cell`]({ units: index + 2, ...initializers }) as never);
  const layers = [
    tfl.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: true, inputShape: [TIME] }),
    tfl.layers.rnn({ cell: cells }),
    tfl.layers.dense({ units: 2 }),
  ];
  await expectSameSteps(withRandomWeights(tfl.sequential({ layers }), 3), tokens(4), randomTensor([BATCH, 2], 5));
});

/** A GRU that resets after its product, which tfjs does not have: another setting, and biases of the recurrence. */
function resetAfter({ topology, weights }: SavedModel): SavedModel {
  const text = JSON.stringify(topology).replaceAll('"reset_after":false', '"reset_after":true');
  expect(text).toContain('"reset_after":true');
  const changed = [...weights].map(([name, weight]): [string, StoredWeight] => {
    if (!/gru.*\/bias$/i.test(name)) return [name, weight];
    const { shape } = weight.tensor();
    const tensor = randomTensor([2, ...shape], 9);
    return [name, { ...weight, shape: tensor.shape, tensor: () => tensor }];
  });
  return { topology: JSON.parse(text) as SavedModel['topology'], weights: new Map(changed) };
}

describe('gradients are those of finite differences', () => {
  it.each(['simpleRNN', 'gru', 'gru that resets after its product', 'lstm'] as const)('of %s', async (what) => {
    const kind = KINDS.find((each) => what.startsWith(each))!;
    const model = tfl.sequential({
      layers: [
        tfl.layers.masking({ maskValue: 0, inputShape: [TIME, 2] }),
        tfl.layers[kind]({ units: 3, recurrentActivation: 'sigmoid', ...initializers }),
        tfl.layers.dense({ units: 2 }),
      ],
    });
    const saved = await savedModel(withRandomWeights(model, 7));
    const { session, input } = await openSavedTraining(kind === what ? saved : resetAfter(saved), {
      loss: 'mean-squared-error',
      optimizer: SGD,
    });
    const x = randomTensor([BATCH, TIME, 2], 1);
    (x.data as Float32Array).fill(0, 4, 8);
    const target = randomTensor([BATCH, 2], 2);
    const lossOf = async (): Promise<number> =>
      (await session.step(inputsOf(input, x, target, { rate: 0, step: 1 }), [STEP.loss])).get(STEP.loss)!.data[0] as number;
    try {
      const before = new Map([...session.state()].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]));
      await session.step(inputsOf(input, x, target, { rate: 1, step: 1 }), []);
      const after = new Map([...session.state()].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]));
      const restored = (changes: [string, Float32Array][]) =>
        session.restore(new Map([...before, ...changes].map(([name, data]) => [name, floats([data.length], data)])));
      const distance = 1e-2;
      let largest = 0;
      for (const [name, values] of before) {
        for (const [at, value] of values.entries()) {
          const losses: number[] = [];
          for (const moved of [value + distance, value - distance]) {
            restored([[name, values.with(at, moved)]]);
            losses.push(await lossOf());
          }
          const gradient = value - after.get(name)![at]!;
          largest = Math.max(largest, Math.abs(gradient));
          expect(Math.abs(gradient - (losses[0]! - losses[1]!) / (2 * distance))).toBeLessThan(2e-3);
        }
      }
      expect(largest).toBeGreaterThan(0.1);
    } finally {
      await session.dispose();
    }
  });
});

describe('the loss curve is that of tfjs', () => {
  const [steps, batch, rate] = [5, 6, 0.01];
  const models: Readonly<Record<string, () => tfl.LayersModel>> = {
    'an LSTM classifier': () =>
      tfl.sequential({
        layers: [
          tfl.layers.lstm({ units: 16, ...initializers, inputShape: [12, 4] }),
          tfl.layers.dense({ units: 3, activation: 'softmax' }),
        ],
      }),
    'a Transformer encoder of 4 layers': () =>
      tfl.sequential({
        layers: [
          tfl.layers.dense({ units: 8, inputShape: [6, 4] }),
          ...[1, 2, 3, 4].map(() => new TransformerEncoder({ intermediateDim: 16, numHeads: 2 })),
          tfl.layers.globalAveragePooling1d({}),
          tfl.layers.dense({ units: 3, activation: 'softmax' }),
        ],
      }),
  };

  it.each(Object.keys(models))('for %s', async (name) => {
    await tf.setBackend('cpu');
    const model = models[name]!();
    const { session, input } = await openTraining(model, { loss: 'cross-entropy', optimizer: ADAM });
    model.compile({ optimizer: tf.train.adam(rate), loss: 'categoricalCrossentropy' });
    const [time, features] = model.inputs[0]!.shape.slice(1) as [number, number];
    const losses: number[] = [];
    try {
      for (let step = 1; step <= steps; step += 1) {
        const x = randomTensor([batch, time, features], step);
        const labels = Array.from({ length: batch }, (_label, at) => (at * 7 + step) % 3);
        const results = await session.step(inputsOf(input, x, classes(labels), { rate, step }), [STEP.loss]);
        const wanted = tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 3), 'float32');
        const expected = (await model.trainOnBatch(tf.tensor(x.data as Float32Array, [...x.shape]), wanted)) as number;
        losses.push(expected);
        expect(Math.abs((results.get(STEP.loss)!.data[0] as number) - expected)).toBeLessThan(1e-3);
      }
      expect(new Set(losses).size).toBe(steps);
    } finally {
      await session.dispose();
    }
  });
});

it('sequences of an open length are trained as tfjs trains them, whatever their length', async () => {
  await tf.setBackend('cpu');
  for (const [time, kind] of [
    [3, 'lstm'],
    [6, 'gru'],
  ] as const) {
    const model = tfl.sequential({
      layers: [tfl.layers[kind]({ units: 2, inputShape: [null, 2], ...initializers }), tfl.layers.dense({ units: 1 })],
    });
    await expectSameSteps(withRandomWeights(model, time), randomTensor([BATCH, time, 2], 1), randomTensor([BATCH, 1], 2));
  }
});

it('ConvLSTM2D is trained as tfjs trains it', async () => {
  await tf.setBackend('cpu');
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 1, max: 1e6 }),
        filters: fc.integer({ min: 1, max: 3 }),
        kernelSize: fc.integer({ min: 1, max: 3 }),
        padding: fc.constantFrom('same' as const, 'valid' as const),
        useBias: fc.boolean(),
        returnSequences: fc.boolean(),
      }),
      async ({ seed, ...config }) => {
        const layers = [
          tfl.layers.convLstm2d({ ...config, ...initializers, inputShape: [3, 5, 4, 2] }),
          tfl.layers.flatten(),
          tfl.layers.dense({ units: 2 }),
        ];
        const model = withRandomWeights(tfl.sequential({ layers }), seed);
        await expectSameSteps(model, randomTensor([2, 3, 5, 4, 2], seed), randomTensor([2, 2], seed + 1));
      },
    ),
    { numRuns: 6 },
  );
}, 60_000);
