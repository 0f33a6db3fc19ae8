import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, it } from 'vitest';
import { expectSameAsTfjs, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';

const seed = fc.integer({ min: 1, max: 1e6 });
const size = fc.integer({ min: 5, max: 9 });
const small = fc.integer({ min: 1, max: 3 });
const padding = fc.constantFrom('same' as const, 'valid' as const);
const activation = fc.constantFrom('linear' as const, 'relu' as const, 'tanh' as const);
const dataFormat = fc.constantFrom('channelsLast' as const, 'channelsFirst' as const);

/** TensorFlow allows strides or dilations, not both. */
const moves = (axes: number) =>
  fc
    .record({
      strides: fc.tuple(...Array.from({ length: axes }, () => small)),
      dilationRate: fc.tuple(...Array.from({ length: axes }, () => fc.integer({ min: 1, max: 2 }))),
    })
    .map(({ strides, dilationRate }) =>
      dilationRate.some((each) => each > 1) ? { strides: strides.map(() => 1), dilationRate } : { strides, dilationRate },
    );

const common = { seed, filters: small, channels: small, padding, activation, useBias: fc.boolean() };

const check = <Config>(arbitrary: fc.Arbitrary<Config>, test: (config: Config) => Promise<unknown>): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (config) => void (await test(config))),
    { numRuns: 25 },
  );

describe('convolutions give what tfjs gives', () => {
  it('Conv1D', () =>
    check(
      fc.record({ ...common, width: size, kernelSize: small, moves: moves(1) }),
      async ({ seed, channels, width, moves, ...config }) => {
        const layer = tf.layers.conv1d({
          ...config,
          strides: moves.strides[0]!,
          dilationRate: moves.dilationRate[0]!,
          inputShape: [width, channels],
        });
        const model = withRandomWeights(tf.sequential({ layers: [layer] }), seed);
        await expectSameAsTfjs(model, [randomTensor([2, width, channels], seed)]);
      },
    ));

  it('Conv2D', () =>
    check(
      fc.record({
        ...common,
        height: size,
        width: size,
        kernelSize: fc.tuple(small, small),
        moves: moves(2),
        dataFormat,
        unknown: fc.boolean(),
      }),
      async ({ seed, channels, height, width, moves, unknown, ...config }) => {
        const first = config.dataFormat === 'channelsFirst';
        const space = unknown ? [null, null] : [height, width];
        const layer = tf.layers.conv2d({
          ...config,
          strides: moves.strides,
          dilationRate: moves.dilationRate as [number, number],
          inputShape: first ? [channels, ...space] : [...space, channels],
        });
        const model = withRandomWeights(tf.sequential({ layers: [layer] }), seed);
        await expectSameAsTfjs(model, [randomTensor(first ? [2, channels, height, width] : [2, height, width, channels], seed)]);
      },
    ));

  it('Conv3D', () =>
    check(
      fc.record({ ...common, sizes: fc.tuple(size, size, size), kernelSize: fc.tuple(small, small, small) }),
      async ({ seed, channels, sizes, ...config }) => {
        const layer = tf.layers.conv3d({ ...config, inputShape: [...sizes, channels] });
        await expectSameAsTfjs(withRandomWeights(tf.sequential({ layers: [layer] }), seed), [randomTensor([1, ...sizes, channels], seed)]);
      },
    ));

  it('DepthwiseConv2D', () =>
    check(
      fc.record({ ...common, height: size, width: size, kernelSize: fc.tuple(small, small), strides: small, depthMultiplier: small }),
      async ({ seed, channels, height, width, strides, ...config }) => {
        const layer = tf.layers.depthwiseConv2d({ ...config, strides: [strides, strides], inputShape: [height, width, channels] });
        await expectSameAsTfjs(withRandomWeights(tf.sequential({ layers: [layer] }), seed), [
          randomTensor([2, height, width, channels], seed),
        ]);
      },
    ));

  it('SeparableConv2D', () =>
    check(
      fc.record({ ...common, height: size, width: size, kernelSize: fc.tuple(small, small), strides: small, depthMultiplier: small }),
      async ({ seed, channels, height, width, strides, ...config }) => {
        const layer = tf.layers.separableConv2d({ ...config, strides: [strides, strides], inputShape: [height, width, channels] });
        await expectSameAsTfjs(withRandomWeights(tf.sequential({ layers: [layer] }), seed), [
          randomTensor([2, height, width, channels], seed),
        ]);
      },
    ));

  it('Conv2DTranspose', () =>
    check(
      fc.record({
        ...common,
        height: size,
        width: size,
        kernelSize: fc.tuple(small, small),
        strides: fc.tuple(small, small),
        unknown: fc.boolean(),
      }),
      async ({ seed, channels, height, width, unknown, ...config }) => {
        const space = unknown ? [null, null] : [height, width];
        const layer = tf.layers.conv2dTranspose({ ...config, inputShape: [...space, channels] });
        await expectSameAsTfjs(withRandomWeights(tf.sequential({ layers: [layer] }), seed), [
          randomTensor([2, height, width, channels], seed),
        ]);
      },
    ));

  it('Conv3DTranspose', () =>
    check(
      fc.record({
        ...common,
        sizes: fc.tuple(small, small, small),
        kernelSize: fc.tuple(small, small, small),
        strides: fc.tuple(small, small, small),
      }),
      async ({ seed, channels, sizes, ...config }) => {
        // tfjs itself differs from its two-dimensional layer there, so the compiler refuses it.
        fc.pre(config.padding === 'valid' || config.kernelSize.every((kernel, axis) => kernel >= config.strides[axis]!));
        const layer = tf.layers.conv3dTranspose({ ...config, inputShape: [...sizes, channels] });
        await expectSameAsTfjs(withRandomWeights(tf.sequential({ layers: [layer] }), seed), [randomTensor([1, ...sizes, channels], seed)]);
      },
    ));
});
