import { afterEach, describe, expect, it } from 'vitest';
import type { InputSpec, TargetSpec } from '../../../../src/datasets/dataset.ts';
import { createRandom } from '../../../../src/datasets/random.ts';
import { tfjsTrainer } from '../../../../src/engines/tfjs/training/tfjs-trainer.ts';
import type { CreateTrainer, LayerConfig, Trainer, TrainerSpec, TrainingBatch } from '../../../../src/engines/training/trainer.ts';
import { trainerOf } from '../../../../src/jobs/child/train/choose-trainer.ts';
import { onnxTrainer } from '../../../../src/jobs/child/train/onnx-trainer.ts';
import { layersOf } from '../../../../src/jobs/training/architectures/layers-of.ts';
import type { Architecture } from '../../../../src/jobs/training/architectures/schema.ts';
import { realDigits, SIDE } from '../../../helpers/digits.ts';

const DIGITS = realDigits(40);
const PIXELS = SIDE * SIDE;
const CLASSES: TargetSpec = {
  kind: 'class',
  column: 'label',
  labels: Array.from({ length: 10 }, (_label, index) => String(index)),
  counts: Array(10).fill(40),
};
const IMAGE: InputSpec = { name: 'image', dtype: 'FP32', shape: [SIDE, SIDE, 1] };
const onnx = onnxTrainer(1);
const opened: Trainer[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((trainer) => trainer.dispose()));
});

async function open(create: CreateTrainer, spec: TrainerSpec): Promise<Trainer> {
  const trainer = await create(spec);
  opened.push(trainer);
  return trainer;
}

const ADAM = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

function specOf(architecture: Architecture, changes: Partial<TrainerSpec> = {}): TrainerSpec {
  return {
    layers: layersOf(architecture, IMAGE, CLASSES, 3),
    loss: 'cross-entropy',
    optimizer: ADAM,
    clipping: {},
    frozen: [],
    seed: 3,
    ...changes,
  };
}

const LENET: Architecture = { kind: 'lenet5' };
const MLP: Architecture = { kind: 'mlp', hidden: [32, 16], embedding: 64, activation: 'relu', dropout: 0 };

const CNN: Architecture = {
  kind: 'cnn',
  filters: [4],
  kernelSize: 3,
  hidden: [16],
  batchNormalization: true,
  activation: 'relu',
  dropout: 0.25,
};

const keras = (className: string, config: LayerConfig['config'] = {}): { class_name: never; config: never } => ({
  class_name: className as never,
  config: config as never,
});

const penalty = (l1: number, l2: number): object => ({ class_name: 'L1L2', config: { l1, l2 } });

/** Normalizations of every kind, every random layer, on images, flattened images and vectors. */
const RANDOM: Architecture = {
  kind: 'layers',
  layers: [
    keras('MaxPooling2D', { pool_size: [4, 4] }),
    keras('GaussianNoise', { stddev: 0.1 }),
    keras('Conv2D', { filters: 4, kernel_size: 3, kernel_regularizer: penalty(0.001, 0.002), bias_regularizer: penalty(0, 0.1) }),
    keras('BatchNormalization', { momentum: 0.8, gamma_regularizer: penalty(0.01, 0) }),
    keras('Dropout', { rate: 0.2 }),
    keras('Flatten'),
    keras('BatchNormalization', { scale: false }),
    keras('Dropout', { rate: 0.2, noise_shape: [null, 1] }),
    keras('Dropout', { rate: 0.2 }),
    keras('Dense', { units: 24, activation: 'selu', kernel_regularizer: 'l1l2' }),
    keras('AlphaDropout', { rate: 0.1 }),
    keras('Reshape', { target_shape: [6, 4] }),
    keras('SpatialDropout1D', { rate: 0.2 }),
    keras('BatchNormalization', { center: false, epsilon: 0.01 }),
    keras('LSTM', { units: 8, recurrent_regularizer: penalty(0, 0.01) }),
    keras('GaussianDropout', { rate: 0.2 }),
    keras('BatchNormalization'),
    keras('Dense', { units: 10, activation: 'softmax' }),
  ],
};

const WITHOUT_NORMALIZATION: Architecture = {
  ...RANDOM,
  layers: RANDOM.layers.filter(({ class_name: name }) => name !== 'BatchNormalization'),
};

/** Rows of images as steps. */
const TRANSFORMERS: Architecture = {
  kind: 'layers',
  layers: [
    keras('Reshape', { target_shape: [28, 28] }),
    keras('TransformerEncoder', { num_heads: 2, intermediate_dim: 16, dropout: 0.1, kernel_initializer: 'glorot_uniform' }),
    keras('TransformerDecoder', {
      num_heads: 2,
      intermediate_dim: 16,
      dropout: 0.1,
      normalize_first: true,
      kernel_initializer: 'glorot_uniform',
    }),
    keras('GlobalAveragePooling1D'),
    keras('Dense', { units: 10, activation: 'softmax' }),
  ],
};

const DEPTHWISE: Architecture = {
  kind: 'layers',
  layers: [
    keras('DepthwiseConv2D', { kernel_size: 5, strides: 2, depth_multiplier: 4, padding: 'same' }),
    keras('PReLU', { shared_axes: [1, 2] }),
    keras('SeparableConv2D', { filters: 8, kernel_size: 3, depth_multiplier: 2, activation: 'relu' }),
    keras('Flatten'),
    keras('Dense', { units: 10, activation: 'softmax' }),
  ],
};

/** A digit as 7 images of 4 rows. */
const FILMS: Architecture = {
  kind: 'layers',
  layers: [
    keras('Reshape', { target_shape: [7, 4, 28, 1] }),
    keras('ConvLSTM2D', { filters: 4, kernel_size: 3, strides: 2, padding: 'same', return_sequences: true }),
    keras('Flatten'),
    keras('Dense', { units: 10, activation: 'softmax' }),
  ],
};

/** Real digits in an order of their own; the last batch is smaller. */
function epochOf(batchSize: number): TrainingBatch[] {
  const random = createRandom(5);
  const order = [...DIGITS.labels.keys()].map((row) => [random(), row] as const).toSorted(([one], [other]) => one - other);
  return Array.from({ length: Math.ceil(order.length / batchSize) }, (_batch, index) => {
    const rows = order.slice(index * batchSize, (index + 1) * batchSize).map(([, row]) => row);
    const pixels = new Float32Array(rows.length * PIXELS);
    for (const [at, row] of rows.entries())
      pixels.set(
        Float32Array.from(DIGITS.images.subarray(row * PIXELS, (row + 1) * PIXELS), (level) => level / 255),
        at * PIXELS,
      );
    return {
      inputs: { shape: [rows.length, SIDE, SIDE, 1], data: pixels },
      target: { shape: [rows.length], data: Int32Array.from(rows, (row) => DIGITS.labels[row]!) },
    };
  });
}

async function train(trainer: Trainer, batches: readonly TrainingBatch[], from = 0): Promise<number[]> {
  const losses: number[] = [];
  for (const [index, batch] of batches.entries())
    losses.push((await trainer.step(batch, { learningRate: 0.004, step: from + index + 1 })).loss);
  return losses;
}

describe.each<[string, CreateTrainer]>([
  ['onnx', onnx],
  ['onnx on 2 threads', onnxTrainer(2)],
  ['tfjs', trainerOf('tfjs', 1)],
])('micro-batches, with %s,', (_engine, create) => {
  it.each<[string, Architecture, Partial<TrainerSpec>]>([
    ['LeNet', LENET, {}],
    [
      'an MLP with dropout, clipping and classes that count unlike',
      { ...MLP, dropout: 0.3 },
      { clipping: { norm: 0.5 }, classWeights: [3, 1, 1, 0.5, 1, 1, 0, 1, 2, 1] },
    ],
    ['random layers and penalties', WITHOUT_NORMALIZATION, {}],
    ['transformers with dropout', TRANSFORMERS, {}],
  ])('make the steps of whole batches within rounding: %s', async (_name, architecture, changes) => {
    // Adam would make large steps of small roundings.
    const spec = specOf(architecture, { optimizer: { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 }, ...changes });
    const batches = epochOf(32).slice(-6);
    const [whole, parts] = [await open(create, spec), await open(create, { ...spec, microBatches: 5 })];
    const [expected, found] = [await train(whole, batches), await train(parts, batches)];
    for (const [index, loss] of expected.entries()) expect(found[index], `step ${index + 1}`).toBeCloseTo(loss, 4);
    const state = parts.state();
    for (const [name, { data }] of whole.state()) {
      const other = state.get(name)!.data;
      expect(Math.max(...data.map((value, at) => Math.abs(value - other[at]!))), name).toBeLessThan(1e-5);
    }
    const options = { learningRate: 0, step: 99 };
    const [one, two] = [await whole.step(batches[0]!, options), await parts.step(batches[0]!, options)];
    expect(two.outputs).toHaveLength(one.outputs.length);
    for (const [at, value] of one.outputs.entries()) expect(two.outputs[at]).toBeCloseTo(value, 4);
  });
});

/** Sentences of unlike length with a class for each of their words, and none behind the last. */
function taggedBatches(): TrainingBatch[] {
  const random = createRandom(7);
  const steps = 6;
  return Array.from({ length: 4 }, () => {
    const ids = new Int32Array(9 * steps);
    const tags = new Int32Array(9 * steps).fill(-1);
    for (let row = 0; row < 9; row += 1) {
      for (let step = 0; step < 1 + (row % steps); step += 1) {
        ids[row * steps + step] = 1 + Math.floor(random() * 7);
        tags[row * steps + step] = ids[row * steps + step]! % 3;
      }
    }
    return { inputs: { shape: [9, steps], data: ids }, target: { shape: [9, steps], data: tags } };
  });
}

const TAGS: TargetSpec = { kind: 'tags', column: 'tags', labels: ['a', 'b', 'c'], counts: [1, 1, 1] };
const WORDS: InputSpec = { name: 'words', dtype: 'INT32', shape: [6], vocabularySize: 8 };

describe.each<[string, Architecture]>([
  ['transformer-encoder', { kind: 'transformer-encoder', width: 8, heads: 2, layers: 1, dropout: 0 }],
  ['gru', { kind: 'gru', units: 8, layers: 1, embedding: 8, dropout: 0 }],
])('labels of tokens, by a %s,', (_name, architecture) => {
  const specWith = (changes: Partial<TrainerSpec>): TrainerSpec => ({
    ...specOf(MLP, { optimizer: { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 }, ...changes }),
    layers: layersOf(architecture, WORDS, TAGS, 3),
  });

  it.each<[string, Partial<TrainerSpec>]>([
    ['alike', {}],
    ['of unlike weights', { classWeights: [2, 1, 0.5] }],
  ])('give the same loss with every engine and in parts of a batch, which count by their tokens: %s', async (_which, changes) => {
    const [onOnnx, onTfjs, onThreads, inParts, tfjsInParts] = [
      await open(onnx, specWith(changes)),
      await open(tfjsTrainer(), specWith(changes)),
      await open(onnxTrainer(2), specWith(changes)),
      await open(onnx, specWith({ ...changes, microBatches: 4 })),
      await open(tfjsTrainer(), specWith({ ...changes, microBatches: 4 })),
    ];
    const batches = taggedBatches();
    const expected = await train(onOnnx, batches);
    for (const other of [onTfjs, onThreads, inParts, tfjsInParts]) {
      for (const [index, loss] of (await train(other, batches)).entries())
        expect(loss, `step ${index + 1}`).toBeCloseTo(expected[index]!, 4);
    }
    const [one, two] = [await onOnnx.evaluate(batches[0]!), await onTfjs.evaluate(batches[0]!)];
    expect(two.loss).toBeCloseTo(one.loss, 4);
  });

  it('have the mean over the tokens that there are, whatever fills the batch up', async () => {
    const [batch] = taggedBatches();
    const { loss, outputs } = await (await open(onnx, specWith({}))).evaluate(batch!);
    const losses = [...batch!.target.data].flatMap((tag, row) => (tag < 0 ? [] : [-Math.log(outputs[row * 3 + tag]!)]));
    expect(losses.length).toBeLessThan(batch!.target.data.length);
    expect(loss).toBeCloseTo(losses.reduce((sum, each) => sum + each, 0) / losses.length, 5);
  });
});

describe('the trainer onnx', () => {
  it.each<[string, Architecture, Partial<TrainerSpec>]>([
    ['LeNet', LENET, {}],
    ['an MLP', MLP, {}],
    [
      'an MLP with classes that count unlike, clipping and weight decay',
      MLP,
      {
        classWeights: [3, 1, 1, 0.5, 1, 1, 0, 1, 2, 1],
        clipping: { norm: 0.5 },
        optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 },
      },
    ],
    ['a model with a frozen layer', LENET, { frozen: ['conv2d_1', 'dense_6'] }],
    ['an MLP with dropout', { ...MLP, dropout: 0.3 }, {}],
    ['a convolution with batch normalization and dropout', CNN, {}],
    ['a model with a frozen normalization', CNN, { frozen: ['batchnormalization_2'] }],
    ['a model of random layers and penalties', RANDOM, {}],
    ['transformers with dropout', TRANSFORMERS, {}],
    ['a recurrent layer over images', FILMS, {}],
  ])('gives the loss curve of tfjs over an epoch of digits for %s', async (_name, architecture, changes) => {
    const spec = specOf(architecture, changes);
    const [one, other] = [await open(onnx, spec), await open(tfjsTrainer(), spec)];
    expect([...one.state()]).toEqual([...other.state()]);
    expect(one.parameterCount).toBe(other.parameterCount);
    const batches = epochOf(32);
    expect(batches.at(-1)!.target.data.length).toBe(16);
    const [found, expected] = [await train(one, batches), await train(other, batches)];
    for (const [index, loss] of expected.entries()) expect(Math.abs(found[index]! - loss), `step ${index + 1}`).toBeLessThan(1e-3);
    expect(expected.at(-1)).toBeLessThan(expected[0]! - 0.1);
    const [measured, reference] = [await one.evaluate(batches[0]!), await other.evaluate(batches[0]!)];
    expect(Math.abs(measured.loss - reference.loss)).toBeLessThan(1e-3);
    // A bias before a normalization has a gradient of rounding errors alone, which Adam makes steps of.
    const tolerance = architecture === CNN ? 2e-2 : 1e-3;
    for (const [at, value] of reference.outputs.entries()) expect(Math.abs(measured.outputs[at]! - value)).toBeLessThan(tolerance);
    for (const layer of spec.frozen) {
      const names = [...one.state().keys()].filter((name) => name.startsWith(`weight/${layer}/`));
      expect(names).toHaveLength(layer.startsWith('batch') ? 4 : 2);
      const first = (await open(onnx, spec)).state();
      for (const name of names) expect(one.state().get(name)).toEqual(first.get(name));
    }
  });

  it.each([
    ['LeNet', LENET],
    ['a model of random layers and normalizations', RANDOM],
  ])(
    'goes on from a state to the same bits, be it kept by itself, and to the same curve from one of tfjs: %s',
    async (_name, architecture) => {
      const spec = specOf(architecture);
      const batches = epochOf(32).slice(0, 6);
      const [whole, begun, ended] = [await open(onnx, spec), await open(onnx, spec), await open(onnx, spec)];
      const losses = await train(whole, batches);
      await train(begun, batches.slice(0, 3));
      ended.restore(begun.state());
      expect(await train(ended, batches.slice(3), 3)).toEqual(losses.slice(3));
      expect([...ended.state()]).toEqual([...whole.state()]);
      expect(ended.modelFiles(spec.layers)).toEqual(whole.modelFiles(spec.layers));

      const tfjs = await open(tfjsTrainer(), spec);
      await train(tfjs, batches.slice(0, 3));
      ended.restore(tfjs.state());
      for (const [index, loss] of (await train(ended, batches.slice(3), 3)).entries())
        expect(Math.abs(loss - losses[index + 3]!)).toBeLessThan(1e-3);
    },
  );

  it.each<[string, Architecture, number]>([
    ['LeNet', LENET, 2],
    ['an MLP with dropout', { ...MLP, dropout: 0.3 }, 3],
    ['transformers with dropout', TRANSFORMERS, 2],
    ['random layers and penalties', WITHOUT_NORMALIZATION, 3],
  ])('on several threads gives what one gives, and each time the same bits: %s', async (_name, architecture, threads) => {
    const spec = specOf(architecture, { clipping: { norm: 1 }, optimizer: { ...ADAM, epsilon: 1e-4 } });
    const batches = [...epochOf(32).slice(0, 5), ...epochOf(3).slice(0, 1), ...epochOf(13).slice(1, 3)];
    const [one, several, again] = [await open(onnx, spec), await open(onnxTrainer(threads), spec), await open(onnxTrainer(threads), spec)];
    const [expected, found] = [await train(one, batches), await train(several, batches)];
    for (const [index, loss] of expected.entries()) expect(Math.abs(found[index]! - loss), `step ${index + 1}`).toBeLessThan(1e-4);
    const trained = several.state();
    for (const [name, { data }] of one.state()) {
      const others = trained.get(name)!.data;
      const off = Array.from(data, (value, at) => Math.abs(others[at]! - value)).reduce((most, each) => Math.max(most, each), 0);
      expect(off, name).toBeLessThan(1e-3);
    }
    await train(again, batches.slice(0, 4));
    const rest = await open(onnxTrainer(threads), spec);
    rest.restore(again.state());
    expect(await train(rest, batches.slice(4), 4)).toEqual(found.slice(4));
    expect([...rest.state()]).toEqual([...trained]);
    const [measured, reference] = [await several.evaluate(batches[0]!), await one.evaluate(batches[0]!)];
    expect(Math.abs(measured.loss - reference.loss)).toBeLessThan(1e-3);
  });

  it('on several threads computes a model that looks at the whole batch as one graph', async () => {
    const spec = specOf(CNN);
    const [one, two] = [await open(onnx, spec), await open(onnxTrainer(2), spec)];
    const batches = epochOf(32).slice(0, 3);
    const expected = await train(one, batches);
    for (const [index, loss] of (await train(two, batches)).entries()) expect(Math.abs(loss - expected[index]!)).toBeLessThan(1e-3);
  });

  it('on several threads tells what went wrong in any of them, and goes on', async () => {
    const trainer = await open(onnxTrainer(2), specOf(LENET));
    const [batch] = epochOf(32);
    const wrong = { ...batch!, inputs: { shape: [32, 7, 7, 1], data: new Float32Array(32 * 49) } };
    await expect(trainer.step(wrong, { learningRate: 0.001, step: 1 })).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
    expect((await trainer.step(batch!, { learningRate: 0.001, step: 1 })).loss).toBeGreaterThan(0);
  });

  it('writes the files of the tfjs trainer', async () => {
    const spec = specOf(LENET);
    const served: LayerConfig[] = [...spec.layers, { class_name: 'Rescaling', config: { name: 'scaled', scale: 2, offset: 1 } }];
    const [one, other] = [await open(onnx, spec), await open(tfjsTrainer(), spec)];
    expect(one.modelFiles(served)).toEqual(other.modelFiles(served));
  });

  it('trains depthwise and separable convolutions, which tfjs on WebAssembly refuses', async () => {
    const spec = specOf(DEPTHWISE);
    const losses = await train(await open(onnx, spec), [...epochOf(32), ...epochOf(32), ...epochOf(32)]);
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.3);
    await expect(tfjsTrainer({ backends: ['wasm'] })(spec)).rejects.toThrow(
      /^The layer "depthwiseconv2d_1" \(DepthwiseConv2D\) has no gradient in tfjs on WebAssembly; the engine onnx trains it\.$/,
    );
  });

  it('refuses a state that lacks a weight', async () => {
    const trainer = await open(onnx, specOf(MLP));
    const state = new Map([...trainer.state()].slice(1));
    expect(() => trainer.restore(state)).toThrow(/no weights "dense_2\/kernel" of the shape \[784, 32\]/);
  });

  it('is passed over by auto, with the reason, for a model that cannot be trained as one graph', async () => {
    const mlp = specOf(MLP);
    const resizing: LayerConfig = { class_name: 'Resizing', config: { name: 'smaller', height: 7, width: 7 } };
    const resized = { ...mlp, layers: mlp.layers.toSpliced(1, 0, resizing) };
    const chosen = await open(trainerOf('auto', 1), resized);
    expect(chosen.engine).toMatch(/^tfjs /);
    expect(chosen.engineReason).toMatch(/layer "smaller" \(Resizing\): /);
    await expect(trainerOf('onnx', 1)(resized)).rejects.toMatchObject({ code: 'COMPILE_FAILED' });
    const graph = await open(trainerOf('auto', 1), specOf(MLP));
    expect([graph.engine, graph.engineReason]).toEqual(['onnx cpu', undefined]);
    expect((await open(trainerOf('tfjs', 1), specOf(MLP))).engineReason).toBeUndefined();
  });
});
