import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, expect, it, vi } from 'vitest';
import { compile, expectSameAsTfjs, randomNumbers, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';

const seed = fc.integer({ min: 1, max: 1e6 });
const small = fc.integer({ min: 1, max: 4 });
const activation = fc.constantFrom(
  'tanh' as const,
  'relu' as const,
  'sigmoid' as const,
  'hardSigmoid' as const,
  'elu' as const,
  'linear' as const,
  'softsign' as const,
);

/** The initializers of tfjs' own choice need more of tfjs than the tests load. */
const initializers = { recurrentInitializer: 'glorotNormal' as const };
const KINDS = ['simpleRNN', 'gru', 'lstm'] as const;

const BOUNDED: ReadonlySet<unknown> = new Set(['tanh', 'sigmoid', 'hardSigmoid', 'softsign']);

/** Gates of tanh may be negative, and then states without a bound grow at each step, and the last digits of their numbers with them. */
function bounded<Config>(config: Config): Config {
  const { activation, recurrentActivation } = config as { activation?: unknown; recurrentActivation?: unknown };
  return recurrentActivation === 'tanh' && !BOUNDED.has(activation) ? { ...config, activation: 'softsign' } : config;
}

const check = <Config>(arbitrary: fc.Arbitrary<Config>, test: (config: Config) => Promise<unknown>, numRuns = 20): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (config) => void (await test(bounded(config)))),
    { numRuns },
  );

const cellConfig = {
  units: small,
  activation,
  recurrentActivation: fc.constantFrom('sigmoid' as const, 'hardSigmoid' as const, 'tanh' as const),
  useBias: fc.boolean(),
};
const layerConfig = { ...cellConfig, returnSequences: fc.boolean(), goBackwards: fc.boolean() };

/** Sequences of whole numbers of which some are 0: at the end, at the start, in between, or all of them. */
function tokens(batch: number, time: number, seed: number): Tensor {
  const data = randomNumbers(batch * time, seed).map((value) => (value < 0 ? 0 : Math.ceil(value * 5)));
  data.fill(0, 0, time);
  data.fill(3, time, 2 * time);
  data.fill(0, 3 * time - 2, 3 * time);
  return { dtype: 'FP32', shape: [batch, time], data };
}

describe.each(KINDS)('%s gives what tfjs gives', (kind) => {
  it('on sequences of a known and of an open length', () =>
    check(fc.record({ seed, features: small, open: fc.boolean(), ...layerConfig }), async ({ seed, features, open, ...config }) => {
      const layer = tf.layers[kind]({ ...config, ...initializers, inputShape: [open ? null : 5, features] });
      const model = withRandomWeights(tf.sequential({ layers: [layer] }), seed);
      const graph = await expectSameAsTfjs(model, [randomTensor([3, 5, features], seed)]);
      expect(graph.nodes.filter(({ op }) => op === 'Transpose').length).toBeLessThanOrEqual(config.returnSequences ? 2 : 1);
    }));

  it('with a mask that has gaps', () =>
    check(fc.record({ seed, open: fc.boolean(), stacked: fc.boolean(), ...layerConfig }), async ({ seed, open, stacked, ...config }) => {
      const model = tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: true, inputShape: [open ? null : 6] }),
          ...(stacked ? [tf.layers[kind]({ ...config, ...initializers, returnSequences: true })] : []),
          tf.layers[kind]({ ...config, ...initializers }),
        ],
      });
      await expectSameAsTfjs(withRandomWeights(model, seed), [tokens(5, 6, seed)]);
    }));

  it('with first states, and giving the last ones', () => {
    // tfjs warns that it does not write first states twice.
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    return check(fc.record({ seed, ...layerConfig }), async ({ seed, ...config }) => {
      const states = Array.from({ length: kind === 'lstm' ? 2 : 1 }, () => tf.input({ shape: [config.units] }));
      const input = tf.input({ shape: [6] });
      const x = tf.layers.embedding({ inputDim: 6, outputDim: 3 }).apply(input) as tf.SymbolicTensor;
      const layer = tf.layers[kind]({ ...config, ...initializers, returnState: true });
      const outputs = layer.apply([x, ...states]) as tf.SymbolicTensor[];
      const model = withRandomWeights(tf.model({ inputs: [input, ...states], outputs }), seed);
      await expectSameAsTfjs(model, [tokens(4, 6, seed), ...states.map((_state, index) => randomTensor([4, config.units], seed + index))]);
    });
  });

  it('with first states and a mask', () =>
    check(fc.record({ seed, ...layerConfig }), async ({ seed, ...config }) => {
      vi.spyOn(console, 'warn').mockImplementation(() => {});
      const states = Array.from({ length: kind === 'lstm' ? 2 : 1 }, () => tf.input({ shape: [config.units] }));
      const input = tf.input({ shape: [6] });
      const x = tf.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: true }).apply(input) as tf.SymbolicTensor;
      // tfjs runs such a layer once for each of its outputs, and fails at the second.
      const output = tf.layers[kind]({ ...config, ...initializers }).apply([x, ...states]) as tf.SymbolicTensor;
      const model = withRandomWeights(tf.model({ inputs: [input, ...states], outputs: output }), seed);
      await expectSameAsTfjs(model, [tokens(4, 6, seed), ...states.map((_state, index) => randomTensor([4, config.units], seed + index))]);
    }));

  it('in both directions', () =>
    check(
      fc.record({
        seed,
        masked: fc.boolean(),
        mergeMode: fc.constantFrom('concat' as const, 'sum' as const, 'ave' as const, 'mul' as const),
        ...layerConfig,
      }),
      async ({ seed, masked, mergeMode, ...config }) => {
        const layer = tf.layers[kind]({ ...config, ...initializers });
        const model = tf.sequential({
          layers: [
            tf.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: masked, inputShape: [6] }),
            tf.layers.bidirectional({ layer, mergeMode }),
            ...(config.returnSequences ? [tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 2 }) })] : []),
          ],
        });
        await expectSameAsTfjs(withRandomWeights(model, seed), [tokens(4, 6, seed)]);
      },
    ));
});

describe('recurrent layers', () => {
  it('of several cells give what tfjs gives', () =>
    check(
      fc.record({
        seed,
        returnSequences: fc.boolean(),
        goBackwards: fc.boolean(),
        masked: fc.boolean(),
        cells: fc.array(fc.record({ kind: fc.constantFrom(...KINDS), ...cellConfig }), { minLength: 1, maxLength: 3 }),
      }),
      async ({ seed, cells, masked, ...config }) => {
        const made = cells.map(({ kind, ...cell }) => tf.layers[`${kind}Cell`]({ ...cell, ...initializers }) as never);
        // Where a step is masked, tfjs gives the first state that it has, which is that of the last cell.
        const model = tf.sequential({
          layers: [
            tf.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: masked, inputShape: [6] }),
            tf.layers.rnn({ cell: made.length === 1 ? made[0]! : made, ...config }),
          ],
        });
        await expectSameAsTfjs(withRandomWeights(model, seed), [tokens(4, 6, seed)]);
      },
    ));

  it('after a convolution over time', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv1d({ filters: 4, kernelSize: 3, inputShape: [null, 2], activation: 'relu' }),
        tf.layers.maxPooling1d({ poolSize: 2 }),
        tf.layers.lstm({ units: 3, returnSequences: true, ...initializers }),
        tf.layers.globalAveragePooling1d({}),
      ],
    });
    await expectSameAsTfjs(withRandomWeights(model, 5), [randomTensor([2, 11, 2], 5)]);
  });

  it('refuse what a graph cannot do, and say what to do', async () => {
    const sequential = (layer: ReturnType<typeof tf.layers.lstm>) => compile(tf.sequential({ layers: [layer] }));
    await expect(
      sequential(tf.layers.lstm({ units: 2, stateful: true, batchInputShape: [1, 3, 2], ...initializers, name: 'memory' })),
    ).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: 'The layer "memory" (LSTM): it keeps states from one request to the next, which a graph cannot; set "stateful" to false.',
    });
    await expect(sequential(tf.layers.gru({ units: 2, activation: 'gelu', inputShape: [3, 2], ...initializers }))).rejects.toMatchObject({
      message: expect.stringMatching(/the activation "gelu" cannot be compiled in a recurrent layer; use one of tanh,/),
    });
  });
});

describe('ConvLSTM2D gives what tfjs gives', () => {
  const images = {
    filters: small,
    kernelSize: fc.tuple(small, small),
    strides: fc.constantFrom(1, 2),
    padding: fc.constantFrom('same' as const, 'valid' as const),
    activation,
    recurrentActivation: fc.constantFrom('sigmoid' as const, 'hardSigmoid' as const),
    useBias: fc.boolean(),
    returnSequences: fc.boolean(),
    goBackwards: fc.boolean(),
  };

  it('on films of a known and of an open length, and what comes after', () =>
    check(fc.record({ seed, open: fc.boolean(), ...images }), async ({ seed, open, strides, ...config }) => {
      const layer = tf.layers.convLstm2d({
        ...config,
        ...initializers,
        strides: [strides, strides],
        inputShape: [open ? null : 3, 6, 5, 2],
      });
      const after = config.returnSequences
        ? tf.layers.timeDistributed({ layer: tf.layers.conv2d({ filters: 2, kernelSize: 1 }) })
        : tf.layers.conv2d({ filters: 2, kernelSize: 1 });
      const model = withRandomWeights(tf.sequential({ layers: [layer, ...(open && config.returnSequences ? [] : [after])] }), seed);
      await expectSameAsTfjs(model, [randomTensor([2, 3, 6, 5, 2], seed)]);
    }));

  it('with first states, and giving the last ones', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    const inputs = [tf.input({ shape: [3, 4, 4, 2] }), tf.input({ shape: [4, 4, 3] }), tf.input({ shape: [4, 4, 3] })];
    const layer = tf.layers.convLstm2d({ filters: 3, kernelSize: 3, padding: 'same', returnState: true, ...initializers });
    const outputs = layer.apply(inputs) as tf.SymbolicTensor[];
    const model = withRandomWeights(tf.model({ inputs, outputs }), 4);
    await expectSameAsTfjs(model, [randomTensor([2, 3, 4, 4, 2], 1), randomTensor([2, 4, 4, 3], 2), randomTensor([2, 4, 4, 3], 3)]);
  });
});

describe('TimeDistributed gives what tfjs gives', () => {
  it.each<[string, () => Parameters<typeof tf.layers.timeDistributed>[0]['layer'], number[]]>([
    ['Dense', () => tf.layers.dense({ units: 2, activation: 'softmax' }), [4, 3]],
    ['Conv2D', () => tf.layers.conv2d({ filters: 2, kernelSize: 2 }), [3, 5, 4, 2]],
    ['Flatten', () => tf.layers.flatten(), [3, 2, 2]],
    ['MaxPooling2D', () => tf.layers.maxPooling2d({ poolSize: 2 }), [3, 4, 4, 2]],
  ])('around %s', async (_name, layer, [time, ...sizes]) => {
    for (const steps of [time!, null]) {
      const wrapped = tf.layers.timeDistributed({ layer: layer(), inputShape: [steps, ...sizes] });
      const model = withRandomWeights(tf.sequential({ layers: [wrapped] }), 3);
      await expectSameAsTfjs(model, [randomTensor([2, time!, ...sizes], 3)]);
    }
  });
});
