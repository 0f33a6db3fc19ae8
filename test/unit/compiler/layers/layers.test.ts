import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { expectSameAsTfjs, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';

type Layer = Parameters<ReturnType<typeof tf.sequential>['add']>[0];

const seed = fc.integer({ min: 1, max: 1e6 });
const small = fc.integer({ min: 1, max: 4 });
const size = fc.integer({ min: 4, max: 8 });
const padding = fc.constantFrom('same' as const, 'valid' as const);
const dataFormat = fc.constantFrom('channelsLast' as const, 'channelsFirst' as const);

const check = <Config>(arbitrary: fc.Arbitrary<Config>, test: (config: Config) => Promise<unknown>, numRuns = 20): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (config) => void (await test(config))),
    { numRuns },
  );

/** The layers one after the other, with a batch of 2 and of 3. */
async function same(layers: Layer[], inputShape: readonly number[], seed: number): Promise<void> {
  const model = withRandomWeights(tf.sequential({ layers }), seed);
  for (const batch of [2, 3]) await expectSameAsTfjs(model, [randomTensor([batch, ...inputShape], seed + batch)]);
}

describe('pooling gives what tfjs gives', () => {
  for (const kind of ['maxPooling', 'averagePooling'] as const) {
    it(`${kind}1D`, () =>
      check(
        fc.record({ seed, poolSize: small, strides: small, padding, width: size, channels: small }),
        ({ seed, width, channels, ...config }) =>
          same([tf.layers[`${kind}1d`]({ ...config, inputShape: [width, channels] })], [width, channels], seed),
      ));

    it(`${kind}2D`, () =>
      check(
        fc.record({
          seed,
          poolSize: fc.tuple(small, small),
          strides: fc.tuple(small, small),
          padding,
          dataFormat,
          sizes: fc.tuple(size, size, size),
        }),
        ({ seed, sizes, ...config }) => same([tf.layers[`${kind}2d`]({ ...config, inputShape: sizes })], sizes, seed),
      ));

    it(`${kind}3D`, () =>
      check(
        fc.record({
          seed,
          poolSize: fc.tuple(small, small, small),
          strides: fc.tuple(small, small, small),
          padding,
          sizes: fc.tuple(size, size, size, small),
        }),
        ({ seed, sizes, ...config }) => {
          // tfjs pads such windows by negative numbers, so the compiler refuses them.
          fc.pre(config.padding === 'valid' || config.poolSize.every((window, axis) => window >= config.strides[axis]!));
          return same([tf.layers[`${kind}3d`]({ ...config, inputShape: sizes })], sizes, seed);
        },
      ));
  }

  it.each(['globalMaxPooling', 'globalAveragePooling'] as const)('%s', (kind) =>
    check(
      fc.record({ seed, dataFormat, sizes: fc.tuple(size, size, size), after: fc.boolean() }),
      async ({ seed, dataFormat, sizes, after }) => {
        await same([tf.layers[`${kind}1d`]({ inputShape: sizes.slice(0, 2) })], sizes.slice(0, 2), seed);
        const first = after ? [tf.layers.conv2d({ filters: 3, kernelSize: 2, dataFormat, inputShape: sizes })] : [];
        await same(
          [...first, tf.layers[`${kind}2d`]({ dataFormat, ...(!after && { inputShape: sizes }) }), tf.layers.dense({ units: 2 })],
          sizes,
          seed,
        );
      },
    ),
  );
});

describe('dense layers and arrangements give what tfjs gives', () => {
  it('Dense, after inputs of any rank', () =>
    check(
      fc.record({ seed, units: small, useBias: fc.boolean(), sizes: fc.array(small, { minLength: 1, maxLength: 3 }) }),
      ({ seed, sizes, ...config }) =>
        same([tf.layers.dense({ ...config, inputShape: sizes }), tf.layers.dense({ units: 3, activation: 'softmax' })], sizes, seed),
    ));

  it('Flatten after a convolution, and whatever comes after it', () =>
    check(
      fc.record({
        seed,
        sizes: fc.tuple(size, size, small),
        filters: small,
        between: fc.subarray(['activation', 'dropout', 'batchNormalization', 'layerNormalization', 'prelu', 'repeat', 'softmax'] as const),
        end: fc.constantFrom('dense', 'nothing'),
        dataFormat,
      }),
      async ({ seed, sizes, filters, between, end, dataFormat }) => {
        const made = {
          activation: () => tf.layers.activation({ activation: 'tanh' }),
          dropout: () => tf.layers.dropout({ rate: 0.5 }),
          batchNormalization: () => tf.layers.batchNormalization(),
          layerNormalization: () => tf.layers.layerNormalization(),
          prelu: () => tf.layers.prelu(),
          repeat: () => tf.layers.repeatVector({ n: 2 }),
          softmax: () => tf.layers.softmax({ axis: -1 }),
        };
        const last = between.indexOf('repeat');
        const layers = (last < 0 ? between : between.slice(0, last + 1)).map((name) => made[name]() as Layer);
        await same(
          [
            tf.layers.conv2d({ filters, kernelSize: 2, inputShape: sizes }),
            tf.layers.flatten({ dataFormat }),
            ...layers,
            ...(end === 'dense' ? [tf.layers.dense({ units: 3 })] : []),
          ],
          sizes,
          seed,
        );
      },
      40,
    ));

  it('Reshape, Permute, RepeatVector', () =>
    check(
      fc.record({
        seed,
        sizes: fc.tuple(small, small, small),
        order: fc.shuffledSubarray([1, 2, 3], { minLength: 3 }),
        conv: fc.boolean(),
      }),
      async ({ seed, sizes, order, conv }) => {
        const [height, width, channels] = sizes;
        await same([tf.layers.reshape({ targetShape: [channels, -1, height], inputShape: sizes })], sizes, seed);
        await same([tf.layers.reshape({ targetShape: [height * width * channels], inputShape: sizes })], sizes, seed);
        const first = conv
          ? tf.layers.conv2d({ filters: 2, kernelSize: 1, inputShape: sizes })
          : tf.layers.activation({ activation: 'relu', inputShape: sizes });
        await same(
          [first, tf.layers.permute({ dims: order }), tf.layers.conv2d({ filters: 2, kernelSize: 1 }), tf.layers.permute({ dims: order })],
          sizes,
          seed,
        );
        await same([tf.layers.repeatVector({ n: height, inputShape: [width] })], [width], seed);
      },
    ));

  it('ZeroPadding2D, Cropping2D, UpSampling2D', () =>
    check(
      fc.record({
        seed,
        sizes: fc.tuple(size, size, size),
        dataFormat,
        pads: fc.tuple(fc.tuple(small, small), fc.tuple(small, small)),
        crops: fc.tuple(fc.tuple(fc.integer({ min: 0, max: 1 }), small), fc.tuple(small, fc.integer({ min: 0, max: 1 }))),
        factors: fc.tuple(small, small),
        interpolation: fc.constantFrom('nearest' as const, 'bilinear' as const),
        conv: fc.boolean(),
      }),
      ({ seed, sizes, dataFormat, pads, crops, factors, interpolation, conv }) =>
        same(
          [
            ...(conv ? [tf.layers.conv2d({ filters: 4, kernelSize: 1, dataFormat, inputShape: sizes })] : []),
            tf.layers.zeroPadding2d({ padding: pads, dataFormat, ...(!conv && { inputShape: sizes }) }),
            tf.layers.cropping2D({ cropping: crops, dataFormat }),
            tf.layers.upSampling2d({ size: factors, dataFormat, interpolation }),
          ],
          sizes,
          seed,
        ),
    ));
});

describe('normalisations and activations give what tfjs gives', () => {
  it('BatchNormalization', () =>
    check(
      fc.record({
        seed,
        sizes: fc.array(small, { minLength: 1, maxLength: 3 }),
        center: fc.boolean(),
        scale: fc.boolean(),
        conv: fc.boolean(),
      }),
      ({ seed, sizes, conv, ...config }) => {
        if (!conv) return same([tf.layers.batchNormalization({ ...config, inputShape: sizes })], sizes, seed);
        return same(
          [
            tf.layers.conv2d({ filters: 3, kernelSize: 2, inputShape: [5, 5, 2] }),
            tf.layers.batchNormalization(config),
            tf.layers.flatten(),
          ],
          [5, 5, 2],
          seed,
        );
      },
    ));

  it('LayerNormalization over any axes', () =>
    check(
      fc.record({
        seed,
        sizes: fc.tuple(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 2, max: 5 }), fc.integer({ min: 2, max: 5 })),
        axis: fc.constantFrom<number | number[]>(-1, 1, 2, 3, [2, 3], [1, 2], [1, 3], [-1], [1, 2, 3]),
        center: fc.boolean(),
        scale: fc.boolean(),
        conv: fc.boolean(),
      }),
      ({ seed, sizes, axis, conv, ...config }) =>
        same(
          [
            ...(conv ? [tf.layers.conv2d({ filters: 3, kernelSize: 1, inputShape: sizes })] : []),
            // tfjs changes the list that it is given.
            tf.layers.layerNormalization({ ...config, axis: Array.isArray(axis) ? [...axis] : axis, ...(!conv && { inputShape: sizes }) }),
          ],
          sizes,
          seed,
        ),
      30,
    ));

  const activations = [
    'elu',
    'hardSigmoid',
    'linear',
    'relu',
    'relu6',
    'selu',
    'sigmoid',
    'softmax',
    'softplus',
    'softsign',
    'tanh',
    'swish',
    'mish',
    'gelu',
  ] as const;

  it.each([...activations, 'logSoftmax', 'gelu_new'])('the activation %s', async (name) => {
    const activation = name as 'relu';
    await same(
      [tf.layers.conv2d({ filters: 3, kernelSize: 2, inputShape: [5, 5, 2], activation }), tf.layers.activation({ activation })],
      [5, 5, 2],
      7,
    );
    await same([tf.layers.dense({ units: 5, inputShape: [6], activation })], [6], 7);
  });

  it('ReLU, LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax', () =>
    check(
      fc.record({
        seed,
        sizes: fc.tuple(small, small, small),
        alpha: fc.float({ min: 0, max: 1, noNaN: true }),
        shared: fc.subarray([1, 2, 3]),
        conv: fc.boolean(),
      }),
      async ({ seed, sizes, alpha, shared, conv }) => {
        const layers = [
          tf.layers.reLU({ maxValue: alpha }),
          tf.layers.reLU(),
          tf.layers.leakyReLU({ alpha }),
          tf.layers.prelu(shared.length > 0 ? { sharedAxes: shared } : {}),
          tf.layers.elu(),
          tf.layers.thresholdedReLU({ theta: alpha }),
          tf.layers.softmax({ axis: 3 }),
        ];
        for (const layer of layers) {
          const first = conv
            ? tf.layers.conv2d({ filters: 2, kernelSize: 1, inputShape: sizes })
            : tf.layers.activation({ activation: 'linear', inputShape: sizes });
          await same([first, layer], sizes, seed);
        }
      },
      8,
    ));
});

describe('preprocessing gives what tfjs gives', () => {
  it('Rescaling', () => same([tf.layers.rescaling({ scale: 0.5, offset: -1, inputShape: [3] }) as Layer], [3], 1));

  it('Embedding of floats and of integers', () =>
    check(
      fc.record({ seed, indices: fc.array(fc.nat(6), { minLength: 6, maxLength: 6 }), integers: fc.boolean(), open: fc.boolean() }),
      async ({ seed, indices, integers, open }) => {
        const dtype = integers ? 'int32' : 'float32';
        const input = tf.input({ shape: [open ? null : 3], dtype });
        const output = tf.layers.embedding({ inputDim: 7, outputDim: 4 }).apply(input) as tf.SymbolicTensor;
        const model = withRandomWeights(tf.model({ inputs: input, outputs: output }), seed);
        const data = integers ? Int32Array.from(indices) : Float32Array.from(indices, (index) => index + 0.4);
        const graph = await expectSameAsTfjs(model, [{ dtype: integers ? 'INT32' : 'FP32', shape: [2, 3], data }]);
        expect(graph.inputs[0]!.shape).toEqual(['batch', open ? `${input.name}.1` : 3]);
      },
    ));
});
