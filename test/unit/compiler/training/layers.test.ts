import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { LAYERS } from '../../../../src/compiler/layers/layers.ts';
import { compile, expectSameAsTfjs, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';
import { expectDescent, expectSameSteps } from '../../../helpers/same-steps.ts';
import { openTraining } from '../../../helpers/training-step.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';

/*
 * All layers that tfjs registers, whichever these are: each is compiled and trained as tfjs does it, or refused by name. One
 * that a later tfjs adds fails here until it has a case.
 */

type Layer = tfl.layers.Layer;
type Symbolic = tfl.SymbolicTensor;

interface Case {
  /** Of its input, without the batch. */
  readonly shape: readonly number[];
  readonly config?: object;
  /** Its input is whole numbers below this. */
  readonly tokens?: number;
  /** Why tfjs is no example for its gradient. */
  readonly untrained?: string;
  /** It takes two inputs. */
  readonly merges?: true;
}

type Constructor = new (config: object) => Layer;

const CLASSES = tf.serialization.SerializationMap.getMap().classNameMap as unknown as Readonly<Record<string, readonly [Constructor]>>;
const isLayer = (made: Constructor): boolean => made.prototype instanceof tfl.layers.Layer;

const IMAGE = [6, 5, 4];
const VOLUME = [4, 3, 5, 2];
const SEQUENCE = [5, 3];
/** The initializers of tfjs' own choice need more of tfjs than the tests load. */
const recurrentInitializer = 'glorotNormal';
const cell = () => tfl.layers.lstmCell({ units: 2, recurrentInitializer });

const CASES: Readonly<Record<string, Case>> = {
  ReLU: { shape: [6] },
  LeakyReLU: { shape: [6] },
  PReLU: { shape: IMAGE },
  ELU: { shape: [6] },
  ThresholdedReLU: { shape: [6], config: { theta: 0.1 }, untrained: 'tfjs has no gradient of it' },
  Softmax: { shape: SEQUENCE, config: { axis: -1 } },
  Conv1D: { shape: [7, 3], config: { filters: 2, kernelSize: 3, strides: 2, padding: 'same' } },
  Conv2D: { shape: IMAGE, config: { filters: 3, kernelSize: 3, strides: 2, padding: 'same' } },
  Conv3D: { shape: VOLUME, config: { filters: 3, kernelSize: 2 } },
  Conv2DTranspose: { shape: IMAGE, config: { filters: 3, kernelSize: 3, strides: 2, padding: 'same' } },
  Conv3DTranspose: { shape: VOLUME, config: { filters: 3, kernelSize: 2 }, untrained: 'tfjs has no gradient of it' },
  SeparableConv2D: { shape: IMAGE, config: { filters: 3, kernelSize: 3, depthMultiplier: 2, padding: 'same' } },
  DepthwiseConv2D: { shape: IMAGE, config: { kernelSize: 3, depthMultiplier: 2, strides: 2 } },
  Cropping2D: {
    shape: IMAGE,
    config: {
      cropping: [
        [1, 0],
        [2, 1],
      ],
    },
  },
  UpSampling2D: {
    shape: IMAGE,
    config: { size: [2, 3] },
    untrained: 'tfjs changes the weights before it by other numbers than finite differences give',
  },
  ZeroPadding2D: { shape: IMAGE, config: { padding: [1, 2] } },
  RNN: { shape: SEQUENCE, config: { cell: () => [cell(), cell()] } },
  SimpleRNN: { shape: SEQUENCE, config: { units: 2, recurrentInitializer } },
  GRU: { shape: SEQUENCE, config: { units: 2, recurrentInitializer } },
  LSTM: { shape: SEQUENCE, config: { units: 2, recurrentInitializer } },
  ConvLSTM2D: { shape: [3, 4, 4, 2], config: { filters: 2, kernelSize: 3, recurrentInitializer } },
  // At a rate of 0 they draw nothing; what they draw is tried in test/unit/jobs/trainers.
  Dropout: { shape: [6], config: { rate: 0 } },
  SpatialDropout1D: { shape: SEQUENCE, config: { rate: 0 } },
  GaussianNoise: { shape: [6], config: { stddev: 0 } },
  GaussianDropout: { shape: [6], config: { rate: 0 } },
  AlphaDropout: { shape: [6], config: { rate: 0 } },
  Dense: { shape: SEQUENCE, config: { units: 2, activation: 'tanh' } },
  Flatten: { shape: IMAGE },
  Activation: { shape: [6], config: { activation: 'swish' } },
  RepeatVector: { shape: [6], config: { n: 3 } },
  Reshape: { shape: [6], config: { targetShape: [2, 3] } },
  Permute: { shape: IMAGE, config: { dims: [3, 1, 2] } },
  Masking: { shape: SEQUENCE, untrained: 'tfjs has no gradient of it' },
  Embedding: { shape: [5], tokens: 7, config: { inputDim: 7, outputDim: 3 } },
  Add: { shape: [6], merges: true },
  Multiply: { shape: [6], merges: true },
  Average: { shape: [6], merges: true },
  Maximum: { shape: [6], merges: true },
  Minimum: { shape: [6], merges: true },
  Concatenate: { shape: IMAGE, merges: true },
  Dot: { shape: SEQUENCE, merges: true, config: { axes: 2 } },
  BatchNormalization: { shape: IMAGE },
  LayerNormalization: { shape: SEQUENCE },
  MaxPooling1D: { shape: SEQUENCE },
  AveragePooling1D: { shape: SEQUENCE },
  MaxPooling2D: { shape: IMAGE, config: { poolSize: 3, strides: 2, padding: 'same' } },
  AveragePooling2D: {
    shape: IMAGE,
    config: { poolSize: 3, strides: 2, padding: 'same' },
    untrained: 'its gradient in tfjs divides by whole windows where they hang over the edge',
  },
  MaxPooling3D: { shape: VOLUME },
  AveragePooling3D: { shape: VOLUME },
  GlobalAveragePooling1D: { shape: SEQUENCE },
  GlobalMaxPooling1D: { shape: SEQUENCE },
  GlobalAveragePooling2D: { shape: IMAGE },
  GlobalMaxPooling2D: { shape: IMAGE },
  TimeDistributed: { shape: SEQUENCE, config: { layer: () => tfl.layers.dense({ units: 2 }) } },
  Bidirectional: {
    shape: SEQUENCE,
    config: { layer: () => tfl.layers.gru({ units: 2, recurrentInitializer }), mergeMode: 'concat' },
  },
  Rescaling: { shape: IMAGE, config: { scale: 0.5, offset: 1 } },
  // tfjs takes the number of tokens for the size of the input, so they are the same here.
  CategoryEncoding: { shape: [5], tokens: 5, config: { numTokens: 5, outputMode: 'count' } },
};

/** What the compiler does not lower, with what it says. */
const REFUSED: Readonly<Record<string, Case & { readonly message: RegExp }>> = {
  CenterCrop: { shape: IMAGE, config: { height: 3, width: 3 }, message: /\(CenterCrop\): tfjs crops by interpolation/ },
  Resizing: { shape: IMAGE, config: { height: 3, width: 3 }, message: /\(Resizing\): tfjs loses the batch/ },
  RandomWidth: { shape: IMAGE, config: { factor: 0.5 }, message: /\(RandomWidth\): it changes its output at random/ },
};

/** Not layers of their own: models, and what recurrent layers are made of. */
const PARTS = [
  'InputLayer',
  'Model',
  'Functional',
  'Sequential',
  'SimpleRNNCell',
  'GRUCell',
  'LSTMCell',
  'StackedRNNCells',
  'ConvLSTM2DCell',
];

/** Layers in a config are made anew for each model. */
function made(name: string, { config = {} }: Case): Layer {
  const own = Object.entries(config).map(([key, value]) => [key, typeof value === 'function' ? (value as () => unknown)() : value]);
  return new CLASSES[name]![0]({ name: 'tried', ...Object.fromEntries(own) });
}

/** A model in which something to train comes before the layer and after it. */
function around(name: string, each: Case): tfl.LayersModel {
  const input = tfl.input({ shape: [...each.shape] });
  const before = (): Symbolic => tfl.layers.dense({ units: each.shape.at(-1)! }).apply(input) as Symbolic;
  const layer = made(name, each);
  let taken: Symbolic | Symbolic[] = input;
  if (each.merges === true) taken = [before(), before()];
  else if (each.tokens === undefined) taken = before();
  let output = layer.apply(taken) as Symbolic;
  if (output.shape.length > 2) output = tfl.layers.flatten().apply(output) as Symbolic;
  output = tfl.layers.dense({ units: 2 }).apply(output) as Symbolic;
  return withRandomWeights(tfl.model({ inputs: input, outputs: output }), 3);
}

function example({ shape, tokens }: Case): Tensor {
  const random = randomTensor([3, ...shape], 5);
  if (tokens === undefined) return random;
  return { ...random, data: (random.data as Float32Array).map((value) => Math.floor(((value + 1) / 2) * tokens)) };
}

beforeAll(() => tf.setBackend('cpu'));

describe('each layer of tfjs', () => {
  const names = Object.keys(CLASSES).filter((name) => isLayer(CLASSES[name]![0]) && !PARTS.includes(name));

  it('is one that the compiler knows', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name) => !Object.hasOwn(LAYERS, name))).toEqual([]);
    expect(names.toSorted()).toEqual([...Object.keys(CASES), ...Object.keys(REFUSED)].toSorted());
  });

  it.each(Object.entries(CASES))(
    '%s gives what tfjs gives and is trained as tfjs trains it, or as finite differences say',
    async (name, each) => {
      await expectSameAsTfjs(around(name, each), [example(each)]);
      const target = randomTensor([3, 2], 7);
      if (each.untrained === undefined) await expectSameSteps(around(name, each), example(each), target, 0.003);
      else await expectDescent(around(name, each), example(each), target);
    },
  );

  it.each(Object.entries(REFUSED))('%s is refused by name', async (name, each) => {
    const input = tfl.input({ shape: [...each.shape] });
    const model = tfl.model({ inputs: input, outputs: made(name, each).apply(input) as Symbolic });
    await expect(compile(model)).rejects.toThrow(each.message);
    const options = { loss: 'huber', optimizer: { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } } as const;
    await expect(openTraining(model, options)).rejects.toThrow(each.message);
  });
});
