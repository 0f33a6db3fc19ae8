import * as tf from '@tensorflow/tfjs-core';
import { models } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../../../src/datasets/random.ts';
import { activateBackend } from '../../../../src/engines/tfjs/backend.ts';
import { addChainedOps } from '../../../../src/engines/tfjs/training/chained-ops.ts';
import type { LayerConfig } from '../../../../src/engines/training/trainer.ts';
import { shapeLayers, type Shape } from '../../../../src/jobs/training/architectures/layer-shapes.ts';

const inputOf = (shape: Shape): LayerConfig => ({
  class_name: 'InputLayer',
  config: { name: 'input', batch_input_shape: [null, ...shape], dtype: 'float32', sparse: false },
});
const layer = (class_name: string, config: LayerConfig['config'] = {}): LayerConfig => ({
  class_name,
  config: { name: class_name.toLowerCase(), ...config },
});

function problemOf(layers: readonly LayerConfig[], input: Shape): string {
  try {
    return `none: ${JSON.stringify(shapeLayers([inputOf(input), ...layers], input).output)}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The shape that tfjs gives; undefined when it refuses, or when nothing is left. */
async function byTfjs(given: readonly LayerConfig[], input: Shape): Promise<number[] | undefined> {
  let layers = given;
  try {
    // tfjs does not find out what a Reshape layer leaves open.
    layers = shapeLayers([inputOf(input), ...given], input).layers.slice(1);
  } catch {
    // It is to say so itself.
  }
  try {
    const model = await models.modelFromJSON({
      modelTopology: { class_name: 'Sequential', config: { name: 'model', layers: structuredClone([inputOf(input), ...layers]) } },
    } as never);
    const sizes = model.layers.flatMap((each) => (each.outputShape as number[]).slice(1));
    // Some layers find out only when they compute.
    const { shape } = tf.tidy(() => model.predict(tf.zeros([1, ...input])) as tf.Tensor);
    model.dispose();
    return sizes.every((size) => size >= 1) ? shape.slice(1) : undefined;
  } catch {
    return undefined;
  }
}

/** Layers of each kind with settings that are drawn. */
function randomLayer(random: () => number, index: number): LayerConfig {
  const pick = <T>(...choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!;
  const size = (): number => pick(1, 2, 3, 4);
  const padding = pick('valid', 'same');
  const kinds: Readonly<Record<string, () => LayerConfig['config']>> = {
    Dense: () => ({ units: size() }),
    Activation: () => ({ activation: 'relu' }),
    Dropout: () => ({ rate: 0.5 }),
    BatchNormalization: () => ({}),
    LayerNormalization: () => ({}),
    ReLU: () => ({}),
    Flatten: () => ({}),
    Reshape: () => ({ target_shape: pick([2, 3], [6], [4, 1], [2, 2, 1], [-1, 2], [3, -1], [-1]) }),
    Permute: () => ({ dims: pick([2, 1], [3, 1, 2], [1], [1, 3, 2]) }),
    RepeatVector: () => ({ n: size() }),
    Embedding: () => ({ input_dim: 5, output_dim: size() }),
    Conv1D: () => ({ filters: size(), kernel_size: [size()], strides: [pick(1, 2)], padding }),
    Conv2D: () => ({ filters: size(), kernel_size: [size(), size()], strides: [pick(1, 2), 1], padding, dilation_rate: 1 }),
    Conv2DTranspose: () => ({ filters: size(), kernel_size: [size(), size()], strides: [pick(1, 2), pick(1, 3)], padding }),
    Cropping2D: () => ({
      cropping: [
        [pick(0, 1), 1],
        [1, pick(0, 2)],
      ],
    }),
    ZeroPadding2D: () => ({
      padding: [
        [pick(0, 1), 1],
        [1, pick(0, 2)],
      ],
    }),
    UpSampling2D: () => ({ size: [size(), size()] }),
    MaxPooling1D: () => ({ pool_size: [size()], strides: [pick(1, 2)], padding }),
    AveragePooling1D: () => ({ pool_size: [size()], padding, strides: [2] }),
    MaxPooling2D: () => ({ pool_size: [size(), size()], padding, strides: [pick(1, 2), pick(1, 2)] }),
    AveragePooling2D: () => ({ pool_size: [2, 2], padding, strides: [2, 2] }),
    GlobalAveragePooling1D: () => ({}),
    GlobalMaxPooling1D: () => ({}),
    GlobalAveragePooling2D: () => ({}),
    GlobalMaxPooling2D: () => ({}),
    SimpleRNN: () => ({ units: size(), return_sequences: pick(true, false) }),
    LSTM: () => ({ units: size(), return_sequences: pick(true, false), recurrent_activation: 'sigmoid' }),
    GRU: () => ({ units: size(), return_sequences: pick(true, false), recurrent_activation: 'sigmoid', reset_after: false }),
  };
  const kind = pick(...Object.keys(kinds));
  return layer(kind, { name: `layer_${index}`, ...kinds[kind]!() });
}

describe('shapes of layers', () => {
  beforeAll(async () => {
    expect(await activateBackend('cpu')).toBeUndefined();
    addChainedOps();
  });

  it('are those of tfjs for stacks of layers that are drawn at random, and what tfjs refuses does not fit', async () => {
    const random = createRandom(7);
    const pick = <T>(...choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!;
    let [fitting, refused] = [0, 0];
    for (let trial = 0; trial < 400; trial += 1) {
      const input = pick<Shape>([6], [4], [6, 2], [5, 3], [6, 6, 1], [8, 5, 3]);
      const layers: LayerConfig[] = [];
      // Goes on with what fits, so that stacks become deep.
      for (let depth = 0; depth < 4; depth += 1) {
        const next = randomLayer(random, depth);
        const expected = await byTfjs([...layers, next], input);
        const found = problemOf([...layers, next], input);
        const what = JSON.stringify({ input, layers: [...layers, next] });
        if (expected === undefined) {
          expect(found, what).toMatch(/ does not fit: /);
          refused += 1;
        } else {
          expect(found, what).toBe(`none: ${JSON.stringify(expected)}`);
          layers.push(next);
          fitting += 1;
        }
      }
    }
    expect(fitting).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(300);
  });

  const FILM = [3, 5, 4, 1];
  it.each<[string, LayerConfig['config'], Shape]>([
    ['ConvLSTM2D', { filters: 2, kernel_size: 3, recurrent_initializer: 'glorotUniform' }, FILM],
    ['ConvLSTM2D', { filters: 3, kernel_size: [2, 3], padding: 'same', strides: 2, recurrent_initializer: 'glorotUniform' }, FILM],
    ['ConvLSTM2D', { filters: 2, kernel_size: 2, return_sequences: true, recurrent_initializer: 'glorotUniform' }, FILM],
    ['DepthwiseConv2D', { kernel_size: 3, depth_multiplier: 2 }, [8, 5, 3]],
    ['DepthwiseConv2D', { kernel_size: [3, 2], strides: 2, padding: 'same' }, [8, 5, 3]],
    ['SeparableConv2D', { filters: 4, kernel_size: [3, 2], depth_multiplier: 2 }, [8, 5, 3]],
    ['PReLU', { shared_axes: [1, 2] }, [8, 5, 3]],
  ])('are those of tfjs for %s %o', async (kind, config, input) => {
    const expected = await byTfjs([layer(kind, config)], input);
    expect(expected).toBeDefined();
    expect(problemOf([layer(kind, config)], input)).toBe(`none: ${JSON.stringify(expected)}`);
  });

  it.each<[string, readonly LayerConfig[], Shape, RegExp]>([
    [
      'a window larger than the image',
      [layer('Conv2D', { filters: 2, kernel_size: [5, 5] })],
      [4, 9, 1],
      /^Layer 1, Conv2D "conv2d", does not fit: its window of 5 is larger than the height that comes to it, 4\.$/,
    ],
    [
      'an image where there is none',
      [layer('Dense', { units: 4 }), layer('Conv2D', { filters: 2, kernel_size: [3, 3] })],
      [13],
      /^Layer 2, Conv2D .*: it takes images of the shape \[height, width, channels\], and what comes to it has the shape \[4\]\.$/,
    ],
    [
      'a film of images too small',
      [layer('ConvLSTM2D', { filters: 2, kernel_size: 6 })],
      FILM,
      /^Layer 1, ConvLSTM2D .*: its window of 6 is larger than the height that comes to it, 5\.$/,
    ],
    ['units that are missing', [layer('Dense')], [4], /"units" must be a positive whole number, and is missing\.$/],
    ['units that are no number', [layer('Dense', { units: '4' })], [4], /"units" must be a positive whole number, not "4"\.$/],
    [
      'values that do not make a shape',
      [layer('Reshape', { target_shape: [5, 5] })],
      [24],
      /the shape \[24\] has 24 values, which do not make \[5,5\]\.$/,
    ],
    ['what is flat', [layer('Flatten')], [24], /is flat already, \[24\]\.$/],
    [
      'a kernel that is missing',
      [layer('Conv1D', { filters: 1 })],
      [4, 1],
      /"kernel_size" must be a positive whole number, not undefined\.$/,
    ],
  ])('name the layer and the reason: %s', (_what, layers, input, message) => {
    expect(problemOf(layers, input)).toMatch(message);
  });

  it('that are not known yet fail nothing, and what is known is held to', () => {
    const unknown = [NaN];
    expect(shapeLayers([inputOf(unknown), layer('Dense', { units: 4 })], unknown).output).toEqual([4]);
    expect(shapeLayers([inputOf(unknown), layer('Reshape', { target_shape: [3, 4] })], unknown).output).toEqual([3, 4]);
    expect(shapeLayers([inputOf(unknown), layer('Reshape', { target_shape: [-1, 1] })], unknown).output).toEqual([NaN, 1]);
    expect(problemOf([layer('Conv2D', { filters: 2, kernel_size: [3, 3] })], unknown)).toMatch(/has the shape \[\?\]\.$/);
    expect(problemOf([layer('MaxPooling1D', { pool_size: 2 })], [NaN, 3])).toBe('none: [null,3]');
  });

  it('end where a layer is not known here', () => {
    expect(shapeLayers([inputOf([4]), layer('Lambda'), layer('Flatten')], [4]).output).toBeUndefined();
  });
});
