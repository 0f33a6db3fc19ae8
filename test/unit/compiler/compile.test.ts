import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { compileLayersModel } from '../../../src/compiler/compile.ts';
import { decodeWeights } from '../../../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../../../src/packages/tfjs/model-file.ts';
import { readWeights } from '../../../src/packages/tfjs/read-weights.ts';
import { compile, expectSameAsTfjs, randomTensor, savedModel, withRandomWeights } from '../../helpers/compiled-model.ts';
import { fixtureFolder } from '../../helpers/fixture-models.ts';
import { runGraph } from '../../helpers/run-graph.ts';
import { fp32 } from '../../helpers/tensors.ts';

type Symbolic = tf.SymbolicTensor;

const layer = (className: string, name: string, config: object, inbound: unknown[] = []): object => ({
  class_name: className,
  name,
  config: { name, ...config },
  inbound_nodes: inbound,
});
const functional = (layers: object[], inputs: unknown[], outputs: unknown[]): Record<string, unknown> => ({
  class_name: 'Functional',
  config: { name: 'model', layers, input_layers: inputs, output_layers: outputs },
});
const sequential = (...layers: object[]): Record<string, unknown> => ({ class_name: 'Sequential', config: { name: 'model', layers } });

describe('layers models become one graph', () => {
  it('without a transpose for each layer', async () => {
    const model = withRandomWeights(
      tf.sequential({
        layers: [
          tf.layers.conv2d({ filters: 4, kernelSize: 3, padding: 'same', activation: 'relu', inputShape: [12, 12, 3] }),
          tf.layers.batchNormalization(),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.conv2d({ filters: 5, kernelSize: 3 }),
          tf.layers.reLU(),
          tf.layers.flatten(),
          tf.layers.dense({ units: 6, activation: 'relu' }),
          tf.layers.dense({ units: 2, activation: 'softmax' }),
        ],
      }),
      1,
    );
    const graph = await expectSameAsTfjs(model, [randomTensor([2, 12, 12, 3], 1)]);
    expect(graph.nodes.map(({ op }) => op)).toEqual([
      'Transpose',
      'Conv',
      'Relu',
      'BatchNormalization',
      'MaxPool',
      'Conv',
      'Relu',
      'Reshape',
      'Gemm',
      'Relu',
      'Gemm',
      'Softmax',
    ]);
  });

  it('with shared layers, whose weights are there once', async () => {
    const inputs = [tf.input({ shape: [3], name: 'left' }), tf.input({ shape: [3], name: 'right' })];
    const shared = tf.layers.dense({ units: 4, name: 'shared', activation: 'tanh' });
    const outputs = tf.layers.concatenate({ name: 'both' }).apply(inputs.map((input) => shared.apply(input) as Symbolic)) as Symbolic;
    const model = withRandomWeights(tf.model({ inputs, outputs }), 2);
    const graph = await expectSameAsTfjs(model, [randomTensor([2, 3], 1), randomTensor([2, 3], 2)]);
    expect([...graph.initializers.keys()].map(({ name }) => name)).toEqual(['shared/kernel', 'shared/bias']);
    expect(graph.inputs.map(({ name }) => name)).toEqual(['left', 'right']);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['both']);
  });

  it('with models inside, called more than once', async () => {
    const inner = tf.sequential({
      name: 'inner',
      layers: [tf.layers.dense({ units: 3, inputShape: [4], name: 'a' }), tf.layers.dense({ units: 3, name: 'b' })],
    });
    const innermost = tf.input({ shape: [3], name: 'i' });
    const two = [
      tf.layers.dense({ units: 2, name: 'c' }).apply(innermost),
      tf.layers.activation({ activation: 'relu', name: 'd' }).apply(innermost),
    ] as Symbolic[];
    const split = tf.model({ name: 'split', inputs: innermost, outputs: two });
    const inputs = [tf.input({ shape: [4], name: 'x' }), tf.input({ shape: [4], name: 'y' })];
    const [x, y] = inputs.map((input) => inner.apply(input) as Symbolic);
    const [c, d] = split.apply(tf.layers.add().apply([x!, y!])) as Symbolic[];
    const model = tf.model({ inputs, outputs: [c!, d!, y!] });
    const graph = await expectSameAsTfjs(withRandomWeights(model, 3), [randomTensor([2, 4], 1), randomTensor([2, 4], 2)]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['split', 'split_1', 'inner']);
    expect(graph.nodes.some(({ name }) => name === 'inner/b/Gemm')).toBe(true);
  });

  it('with a model as the first layer', async () => {
    const inner = tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [4], name: 'first' })] });
    const model = tf.sequential({ layers: [inner, tf.layers.dense({ units: 2, name: 'last' })] });
    const graph = await expectSameAsTfjs(withRandomWeights(model, 4), [randomTensor([2, 4], 1)]);
    expect(graph.inputs.map(({ name }) => name)).toEqual(['first_input']);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['last']);
  });

  it('with an input that is an output', async () => {
    const input = tf.input({ shape: [4], name: 'x' });
    const model = tf.model({ inputs: input, outputs: [input, tf.layers.dense({ units: 2, name: 'd' }).apply(input) as Symbolic] });
    const { topology, weights } = await savedModel(model);
    await expect(async () => compileLayersModel(topology, weights)).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('"x"'),
    });
  });

  it('from the files of the digits model, with the same probabilities as its own ONNX export', async () => {
    const folder = fixtureFolder('digits-layers');
    const file = await readModelFile(folder);
    const graph = compileLayersModel(file.modelTopology, decodeWeights(await readWeights(folder, file.weightsManifest)));
    expect(graph.nodes.filter(({ op }) => op === 'Transpose')).toHaveLength(1);
    const image = randomTensor([3, 28, 28, 1], 1);
    const compiled = await runGraph(graph, { [graph.inputs[0]!.name]: image });
    const { InferenceSession } = await import('onnxruntime-node');
    const session = await InferenceSession.create(await readFile(join(import.meta.dirname, '../../../models/digits/1/model.onnx')));
    const { probabilities } = await session.run({
      image: { type: 'float32', dims: [3, 1, 28, 28], data: image.data, location: 'cpu' } as never,
    });
    await session.release();
    const [difference] = [...(compiled.get('probabilities')!.data as Float32Array)]
      .map((value, index) => Math.abs(value - (probabilities!.data as Float32Array)[index]!))
      .toSorted((a, b) => b - a);
    expect(difference).toBeLessThan(1e-5);
  });
});

describe('what tfjs itself cannot do', () => {
  const weights = decodeWeights({
    specs: [
      { name: 'conv/kernel', shape: [1, 1, 1, 4], dtype: 'float32' },
      { name: 'norm/gamma', shape: [2], dtype: 'float32' },
      { name: 'norm/beta', shape: [2], dtype: 'float32' },
      { name: 'norm/moving_mean', shape: [2], dtype: 'float32' },
      { name: 'norm/moving_variance', shape: [2], dtype: 'float32' },
    ],
    data: [Float32Array.of(1, 2, 3, 4, 2, 3, 1, -1, 10, 20, 4, 9).buffer],
  });

  it('grouped convolutions', async () => {
    const topology = sequential(
      layer('Conv2D', 'conv', { filters: 4, kernel_size: [1, 1], groups: 2, use_bias: false, batch_input_shape: [null, 1, 1, 2] }),
    );
    const results = await runGraph(compileLayersModel(topology, weights), { conv_input: fp32([10, 100], [1, 1, 1, 2]) });
    expect(results.get('conv')).toEqual(fp32([10, 20, 300, 400], [1, 1, 1, 4]));
  });

  it('BatchNormalization of an axis that is not the last', async () => {
    for (const [axis, shape] of [
      [1, [2, 2]],
      [2, [1, 2, 2]],
    ] as const) {
      const topology = sequential(layer('BatchNormalization', 'norm', { axis: [axis], epsilon: 0, batch_input_shape: [null, ...shape] }));
      const results = await runGraph(compileLayersModel(topology, weights), { norm_input: fp32([10, 12, 20, 23], [1, ...shape]) });
      // (x - mean) / √variance · gamma + beta
      expect(results.get('norm')!.data).toEqual(Float32Array.of(1, 3, -1, 2));
    }
  });

  it.each([
    ['one_hot', [1], [2], [0, 0, 1]],
    ['multi_hot', [3], [2, 0, 2], [1, 0, 1]],
    ['count', [3], [2, 0, 2], [1, 0, 2]],
  ])('CategoryEncoding as %s', async (mode, shape, indices, expected) => {
    const topology = sequential(
      layer('CategoryEncoding', 'codes', { num_tokens: 3, output_mode: mode, batch_input_shape: [null, ...shape] }),
    );
    const results = await runGraph(compileLayersModel(topology, weights), { codes_input: fp32(indices, [1, ...shape]) });
    expect(results.get('codes')).toEqual(fp32(expected, [1, 3]));
  });

  it('causal convolutions over time', async () => {
    const kernel = decodeWeights({
      specs: [{ name: 'conv/kernel', shape: [2, 1, 1], dtype: 'float32' }],
      data: [Float32Array.of(10, 1).buffer],
    });
    const topology = sequential(
      layer('Conv1D', 'conv', {
        filters: 1,
        kernel_size: [2],
        padding: 'causal',
        use_bias: false,
        dilation_rate: [2],
        batch_input_shape: [null, 4, 1],
      }),
    );
    const results = await runGraph(compileLayersModel(topology, kernel), { conv_input: fp32([1, 2, 3, 4], [1, 4, 1]) });
    expect(results.get('conv')!.data).toEqual(Float32Array.of(1, 2, 13, 24));
  });
});

describe('topologies', () => {
  const dense = (name: string, inbound: unknown[]) => layer('Dense', name, { units: 1, use_bias: false, activation: 'linear' }, inbound);
  const input = layer('InputLayer', 'x', { batch_input_shape: [null, 1], dtype: 'float32' });
  const weights = decodeWeights({
    specs: [
      { name: 'a/kernel', shape: [1, 1], dtype: 'float32' },
      { name: 'lstm/lstm_cell_3/kernel', shape: [1, 4], dtype: 'float32' },
      { name: 'lstm/lstm_cell_3/recurrent_kernel', shape: [1, 4], dtype: 'float32' },
      { name: 'lstm/lstm_cell_3/bias', shape: [4], dtype: 'float32' },
    ],
    data: [Float32Array.of(3, ...Array<number>(12).fill(0.5)).buffer],
  });

  it('of the older and the newer kind of list are read, in model_config or bare', async () => {
    for (const inbound of [[[['x', 0, 0, {}]]], [['x', 0, 0, {}]]]) {
      const topology = functional([input, dense('a', inbound)], [['x', 0, 0]], [['a', 0, 0]]);
      for (const file of [topology, { keras_version: '2.15.0', model_config: topology }]) {
        expect(await runGraph(compileLayersModel(file, weights), { x: fp32([2], [1, 1]) })).toEqual(new Map([['a', fp32([6], [1, 1])]]));
      }
    }
    const oneEach = functional([input, dense('a', [[['x', 0, 0, {}]]])], ['x', 0, 0], ['a', 0, 0]);
    expect(compileLayersModel(oneEach, weights).outputs.map(({ name }) => name)).toEqual(['a']);
  });

  it('with the names that TensorFlow gives to weights of cells are read', () => {
    const topology = sequential(
      layer('LSTM', 'lstm', { units: 1, activation: 'tanh', recurrent_activation: 'sigmoid', batch_input_shape: [null, 3, 1] }),
    );
    expect(compileLayersModel(topology, weights).nodes.map(({ op }) => op)).toContain('LSTM');
  });

  it.each<[string, Record<string, unknown>, string, string]>([
    [
      'an unknown layer',
      sequential(layer('Lambda', 'odd', { batch_input_shape: [null, 1] })),
      'COMPILE_FAILED',
      'The layer "odd" (Lambda): layers of this class cannot be compiled',
    ],
    [
      'an unknown activation',
      sequential(layer('Activation', 'act', { activation: 'sine', batch_input_shape: [null, 1] })),
      'COMPILE_FAILED',
      'The layer "act" (Activation): the activation "sine" cannot be compiled; use one of linear,',
    ],
    ['a model of another kind', { class_name: 'Subclassed', config: { name: 'm' } }, 'COMPILE_FAILED', 'The model is a Subclassed'],
    [
      'a layer without its weights',
      functional([input, dense('b', [[['x', 0, 0, {}]]])], [['x', 0, 0]], [['b', 0, 0]]),
      'INVALID_MODEL',
      'The layer "b" has no weight "kernel" in the files.',
    ],
    [
      'a config that lacks a number',
      sequential(layer('Dense', 'a', { batch_input_shape: [null, 1] })),
      'INVALID_MODEL',
      'The layer "a": "units" must be a number; it is missing.',
    ],
    [
      'a config of another type',
      sequential(layer('Dropout', 'a', { batch_input_shape: [null, 1] }), layer('Dense', 'a2', { units: 'two' })),
      'INVALID_MODEL',
      '"units" must be a number; it is "two"',
    ],
    [
      'two layers of one name',
      sequential(layer('Dropout', 'a', { batch_input_shape: [null, 1] }), layer('Dropout', 'a', {})),
      'INVALID_MODEL',
      'has two layers "a"',
    ],
    [
      'a layer that is not there',
      functional([input, dense('a', [[['y', 0, 0, {}]]])], [['x', 0, 0]], [['a', 0, 0]]),
      'INVALID_MODEL',
      'uses the call 0 of the layer "y", which it does not have',
    ],
    [
      'an output that is not there',
      functional([input, dense('a', [[['x', 0, 0, {}]]])], [['x', 0, 0]], [['a', 0, 1]]),
      'INVALID_MODEL',
      'The layer "a" has no output 1.',
    ],
    ['no layers', sequential(), 'INVALID_MODEL', 'has no layers'],
    ['no shape', sequential(layer('Dense', 'a', { units: 1 })), 'INVALID_MODEL', 'does not say the shape of its input'],
    [
      'a kernel of another shape',
      functional(
        [layer('InputLayer', 'x', { batch_input_shape: [null, 5] }), dense('a', [[['x', 0, 0, {}]]])],
        [['x', 0, 0]],
        [['a', 0, 0]],
      ),
      'COMPILE_FAILED',
      'The layer "a": the operator Gemm cannot multiply [batch, 5] by [1, 1].',
    ],
    [
      'an input of a dtype that tfjs has not',
      sequential(layer('InputLayer', 'x', { batch_input_shape: [null, 1], dtype: 'float64' })),
      'COMPILE_FAILED',
      'The input "x" is float64',
    ],
    ['no topology', {}, 'INVALID_MODEL', 'has no "class_name"'],
  ])('with %s are refused', (_what, topology, code, message) => {
    expect(() => compileLayersModel(topology, weights)).toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  it('take the time of their layers alone, however deep', async () => {
    const layers = Array.from({ length: 400 }, (_layer, index) =>
      tf.layers.activation({ activation: 'relu', ...(index === 0 && { inputShape: [2] }) }),
    );
    expect((await compile(tf.sequential({ layers }))).nodes).toHaveLength(400);
  });
});
