import * as tfl from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { describe, expect, it } from 'vitest';
import { compileLayersModel } from '../../../src/compiler/compile.ts';
import { channelGraphOf } from '../../../src/optimization/pruning/channel-graph.ts';
import { NO_CHANNEL } from '../../../src/optimization/pruning/channels.ts';
import { axisView, type LayersModel, storedWeights } from '../../../src/optimization/pruning/layers-model.ts';
import { multiplications } from '../../../src/optimization/pruning/multiplications.ts';
import { prunableLayers, pruneChannels } from '../../../src/optimization/pruning/prune-channels.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { expectClose, randomTensor, savedModel, withRandomWeights } from '../../helpers/compiled-model.ts';
import { runGraph } from '../../helpers/run-graph.ts';

async function modelOf(model: tfl.LayersModel): Promise<LayersModel> {
  const { topology, weights } = await savedModel(withRandomWeights(model, 7));
  return { topology, weights: new Map([...weights].map(([name, weight]) => [name, weight.tensor()])) };
}

async function outputOf({ topology, weights }: LayersModel, inputs: readonly Tensor[]): Promise<Tensor> {
  const graph = compileLayersModel(topology, storedWeights(weights));
  const results = await runGraph(graph, Object.fromEntries(graph.inputs.map(({ name }, index) => [name, inputs[index]!])));
  return [...results.values()][0]!;
}

/** The same model with zeros wherever every second class of channels is taken: what nobody heeds can go without a trace. */
function withUnheeded(model: LayersModel): LayersModel {
  const { slices, classes } = channelGraphOf(model);
  const weights = new Map([...model.weights].map(([name, tensor]) => [name, { ...tensor, data: (tensor.data as Float32Array).slice() }]));
  const number = new Map<number, number>();
  for (const { channels, role } of slices)
    if (role === 'makes')
      for (const channel of channels)
        if (channel !== NO_CHANNEL && !number.has(classes.rootOf(channel))) number.set(classes.rootOf(channel), number.size);
  for (const { weight, axis, channels, role } of slices) {
    if (role !== 'takes') continue;
    const { shape, data } = weights.get(weight)!;
    const { before, size, after } = axisView(shape, axis);
    for (const [place, channel] of channels.entries()) {
      if (channel === NO_CHANNEL || classes.isPinned(channel) || number.get(classes.rootOf(channel))! % 2 === 0) continue;
      for (let row = 0; row < before; row += 1)
        (data as Float32Array).fill(0, (row * size + place) * after, (row * size + place + 1) * after);
    }
  }
  return { ...model, weights };
}

function sequential(...layers: tfl.layers.Layer[]): tfl.LayersModel {
  return tfl.sequential({ layers });
}

const { layers } = tfl;

/** Keras' own needs an operation that is not loaded here; the weights are replaced anyway. */
const recurrentInitializer = 'glorotNormal';

/** Each with the shape of its input, and the layers that must become smaller. */
const MODELS: readonly [string, () => tfl.LayersModel, readonly number[], readonly string[]][] = [
  [
    'convolutions, pooling and a flattened grid',
    () =>
      sequential(
        layers.conv2d({ name: 'a', filters: 6, kernelSize: 3, activation: 'relu', padding: 'same', inputShape: [10, 8, 2] }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ name: 'b', filters: 8, kernelSize: 3, activation: 'tanh' }),
        layers.dropout({ rate: 0.5 }),
        layers.flatten(),
        layers.dense({ name: 'c', units: 10, activation: 'relu' }),
        layers.dense({ name: 'd', units: 3, activation: 'softmax' }),
      ),
    [2, 10, 8, 2],
    ['a', 'b', 'c'],
  ],
  [
    'channels that come first, flattened either way',
    () =>
      sequential(
        layers.conv2d({ name: 'a', filters: 4, kernelSize: 3, dataFormat: 'channelsFirst', inputShape: [2, 6, 7] }),
        layers.batchNormalization({ axis: 1 }),
        layers.conv2d({ name: 'b', filters: 6, kernelSize: 2, dataFormat: 'channelsFirst' }),
        layers.flatten({ dataFormat: 'channelsFirst' }),
        layers.dense({ name: 'c', units: 3 }),
      ),
    [2, 2, 6, 7],
    ['a', 'b'],
  ],
  [
    'normalizations before and behind the flattening',
    () =>
      sequential(
        layers.conv2d({ name: 'a', filters: 6, kernelSize: 3, inputShape: [6, 6, 1] }),
        layers.batchNormalization({}),
        layers.reLU({}),
        layers.averagePooling2d({ poolSize: 2 }),
        layers.flatten(),
        layers.batchNormalization({ scale: false }),
        layers.dense({ name: 'b', units: 4 }),
      ),
    [2, 6, 6, 1],
    ['a'],
  ],
  [
    'depthwise and separable convolutions, and pooling over all of the grid',
    () =>
      sequential(
        layers.conv2d({ name: 'a', filters: 4, kernelSize: 3, inputShape: [8, 8, 3] }),
        layers.depthwiseConv2d({ name: 'b', kernelSize: 3, depthMultiplier: 2 }),
        layers.separableConv2d({ name: 'c', filters: 6, kernelSize: 2, depthMultiplier: 2 }),
        layers.globalAveragePooling2d({}),
        layers.dense({ name: 'd', units: 2 }),
      ),
    [2, 8, 8, 3],
    ['a', 'c'],
  ],
  [
    'sums and concatenations of branches',
    () => {
      const input = tfl.input({ shape: [6, 6, 2] });
      const convolution = (name: string, filters: number) =>
        layers.conv2d({ name, filters, kernelSize: 3, padding: 'same', activation: 'relu' });
      const a = convolution('a', 6).apply(input) as tfl.SymbolicTensor;
      const b = convolution('b', 6).apply(a) as tfl.SymbolicTensor;
      const sum = layers.add().apply([a, b]) as tfl.SymbolicTensor;
      const c = convolution('c', 4).apply(sum) as tfl.SymbolicTensor;
      const joined = layers.concatenate({ axis: 3 }).apply([sum, c]) as tfl.SymbolicTensor;
      const d = convolution('d', 4).apply(joined) as tfl.SymbolicTensor;
      const output = layers.dense({ name: 'e', units: 3 }).apply(layers.flatten().apply(d)) as tfl.SymbolicTensor;
      return tfl.model({ inputs: input, outputs: output });
    },
    [2, 6, 6, 2],
    ['a', 'b', 'c', 'd'],
  ],
  [
    'recurrent layers of every kind',
    () =>
      sequential(
        layers.lstm({ name: 'a', units: 6, returnSequences: true, recurrentInitializer, inputShape: [5, 3] }),
        layers.gru({ name: 'b', units: 4, returnSequences: true, recurrentInitializer }),
        layers.simpleRNN({ name: 'c', units: 6, recurrentInitializer }),
        layers.dense({ name: 'd', units: 2 }),
      ),
    [2, 5, 3],
    ['a', 'b', 'c'],
  ],
];

describe('pruning of channels', () => {
  it.each(MODELS)('takes what nobody heeds out of %s, and the answers stay', async (_what, make, shape, names) => {
    const model = withUnheeded(await modelOf(make()));
    expect(prunableLayers(model).length).toBeGreaterThan(0);
    const pruned = pruneChannels(model, { share: 0.5, scope: 'layer' });
    const smaller = pruned.layers.filter(({ before, after }) => after < before);
    expect(smaller.map(({ layer }) => layer)).toEqual(names);
    for (const { before, after } of smaller) expect(after).toBe(before / 2);
    const input = randomTensor(shape, 3);
    expectClose(await outputOf(pruned, [input]), await outputOf(model, [input]));
    const counts = [model, pruned].map(({ topology, weights }) => multiplications(compileLayersModel(topology, storedWeights(weights))));
    expect(counts[1]!).toBeLessThan(counts[0]! * 0.7);
  });

  it('takes whole heads out of an attention and neurons out of a transformer, which tfjs does not have', async () => {
    const shapes = {
      'attention/query/kernel': [6, 4, 3],
      'attention/query/bias': [4, 3],
      'attention/key/kernel': [6, 4, 3],
      'attention/key/bias': [4, 3],
      'attention/value/kernel': [6, 4, 3],
      'attention/value/bias': [4, 3],
      'attention/attention_output/kernel': [4, 3, 6],
      'attention/attention_output/bias': [6],
      'block/self_attention_layer/query/kernel': [6, 2, 3],
      'block/self_attention_layer/query/bias': [2, 3],
      'block/self_attention_layer/key/kernel': [6, 2, 3],
      'block/self_attention_layer/key/bias': [2, 3],
      'block/self_attention_layer/value/kernel': [6, 2, 3],
      'block/self_attention_layer/value/bias': [2, 3],
      'block/self_attention_layer/attention_output/kernel': [2, 3, 6],
      'block/self_attention_layer/attention_output/bias': [6],
      'block/self_attention_layer_norm/gamma': [6],
      'block/self_attention_layer_norm/beta': [6],
      'block/feedforward_intermediate_dense/kernel': [6, 8],
      'block/feedforward_intermediate_dense/bias': [8],
      'block/feedforward_output_dense/kernel': [8, 6],
      'block/feedforward_output_dense/bias': [6],
      'block/feedforward_layer_norm/gamma': [6],
      'block/feedforward_layer_norm/beta': [6],
    };
    const model = withUnheeded({
      topology: {
        class_name: 'Sequential',
        config: {
          name: 'transformer',
          layers: [
            { class_name: 'InputLayer', config: { name: 'x', batch_input_shape: [null, 5, 6], dtype: 'float32' } },
            { class_name: 'MultiHeadAttention', config: { name: 'attention', num_heads: 4, key_dim: 3 } },
            { class_name: 'TransformerEncoder', config: { name: 'block', num_heads: 2, intermediate_dim: 8 } },
          ],
        },
      },
      weights: new Map(Object.entries(shapes).map(([name, shape], index) => [name, randomTensor(shape, index)])),
    });
    const pruned = pruneChannels(model, { share: 0.5, scope: 'layer' });
    expect(pruned.layers).toEqual([
      { layer: 'attention', before: 4, after: 2 },
      { layer: 'block', before: 8, after: 4 },
    ]);
    expect(JSON.stringify(pruned.topology)).toContain('"num_heads":2,"key_dim":3');
    expect(JSON.stringify(pruned.topology)).toContain('"intermediate_dim":4');
    const input = randomTensor([2, 5, 6], 99);
    expectClose(await outputOf(pruned, [input]), await outputOf(model, [input]));
  });

  it('leaves the output and what a softmax is over whole', async () => {
    const model = await modelOf(
      sequential(
        layers.dense({ name: 'a', units: 8, activation: 'softmax', inputShape: [4] }),
        layers.dense({ name: 'b', units: 6 }),
        layers.dense({ name: 'c', units: 2 }),
      ),
    );
    expect(prunableLayers(model)).toEqual(['b']);
    const { weights, layers: pruned } = pruneChannels(model, { share: 0.99, scope: 'global' });
    expect(pruned).toEqual([{ layer: 'b', before: 6, after: 1 }]);
    expect(weights.get('c/kernel')!.shape).toEqual([1, 2]);
  });

  it('leaves what a layer takes that it does not know', async () => {
    const model = await modelOf(
      sequential(
        layers.dense({ name: 'a', units: 8, inputShape: [4] }),
        layers.layerNormalization({}),
        layers.dense({ name: 'b', units: 6 }),
        layers.dense({ name: 'c', units: 2 }),
      ),
    );
    expect(prunableLayers(model)).toEqual(['b']);
  });

  it('looks at all layers together when it is told so, and only at some when these are named', async () => {
    const model = await modelOf(
      sequential(
        layers.dense({ name: 'a', units: 20, inputShape: [4] }),
        layers.dense({ name: 'b', units: 20 }),
        layers.dense({ name: 'c', units: 2 }),
      ),
    );
    // The first neurons of one layer matter less than any other, but two stay.
    const data = (model.weights.get('a/kernel')!.data as Float32Array).map((value) => value / 1_000);
    const weights = new Map(model.weights).set('a/kernel', { dtype: 'FP32', shape: [4, 20], data });
    const cut = pruneChannels({ ...model, weights }, { share: 0.5, scope: 'global' });
    expect(cut.layers.reduce((sum, { after }) => sum + after, 0)).toBe(20);
    expect(pruneChannels(model, { share: 0.5, scope: 'layer', layers: ['b'] }).layers).toEqual([
      { layer: 'a', before: 20, after: 20 },
      { layer: 'b', before: 20, after: 10 },
    ]);
  });
});
