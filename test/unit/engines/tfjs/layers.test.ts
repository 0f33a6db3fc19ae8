import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type LayersModel, models } from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { registerLayers } from '../../../../src/engines/tfjs/layers/register.ts';

tf.enableProdMode();
registerLayers();

const layer = (class_name: string, config: object): object => ({ class_name, config: { name: class_name.toLowerCase(), ...config } });
const seeded = { class_name: 'GlorotUniform', config: { seed: 3 } };

function build(...layers: object[]): Promise<LayersModel> {
  return models.modelFromJSON({ modelTopology: { class_name: 'Sequential', config: { name: 'model', layers } } } as never);
}

const embedding = layer('TokenAndPositionEmbedding', {
  vocabulary_size: 5,
  sequence_length: 6,
  embedding_dim: 4,
  mask_zero: true,
  embeddings_initializer: seeded,
  batch_input_shape: [null, 6],
});
const block = { num_heads: 2, intermediate_dim: 3, dropout: 0.5, kernel_initializer: seeded };

describe('layers of transformers in tfjs', () => {
  it('are made from files and written to files with the names of Keras', async () => {
    const model = await build(
      embedding,
      layer('TransformerEncoder', { ...block, normalize_first: true, activation: 'gelu' }),
      layer('TransformerDecoder', block),
      layer('MultiHeadAttention', { num_heads: 1, key_dim: 2, value_dim: 3 }),
    );
    const json = model.toJSON(null, false) as unknown as { config: { layers: { class_name: string; config: object }[] } };
    expect(json.config.layers.map(({ class_name: name }) => name)).toEqual([
      'TokenAndPositionEmbedding',
      'TransformerEncoder',
      'TransformerDecoder',
      'MultiHeadAttention',
    ]);
    expect(json.config.layers[1]!.config).toMatchObject({ ...block, normalize_first: true, activation: 'gelu' });
    expect(
      model.weights
        .filter(({ name }) => name.startsWith('transformerencoder'))
        .map(({ originalName, shape }) => [originalName.replace('transformerencoder/', ''), shape]),
    ).toEqual([
      ['self_attention_layer/query/kernel', [4, 2, 2]],
      ['self_attention_layer/query/bias', [2, 2]],
      ['self_attention_layer/key/kernel', [4, 2, 2]],
      ['self_attention_layer/key/bias', [2, 2]],
      ['self_attention_layer/value/kernel', [4, 2, 2]],
      ['self_attention_layer/value/bias', [2, 2]],
      ['self_attention_layer/attention_output/kernel', [2, 2, 4]],
      ['self_attention_layer/attention_output/bias', [4]],
      ['self_attention_layer_norm/gamma', [4]],
      ['self_attention_layer_norm/beta', [4]],
      ['feedforward_layer_norm/gamma', [4]],
      ['feedforward_layer_norm/beta', [4]],
      ['feedforward_intermediate_dense/kernel', [4, 3]],
      ['feedforward_intermediate_dense/bias', [3]],
      ['feedforward_output_dense/kernel', [3, 4]],
      ['feedforward_output_dense/bias', [4]],
    ]);
  });

  it('begin with the same weights for the same seeds, and can be trained', async () => {
    // By chance dropout may leave out all that the queries change.
    const seededBlock = { ...block, dropout: 0 };
    const [model, again] = [
      await build(embedding, layer('TransformerEncoder', seededBlock)),
      await build(embedding, layer('TransformerEncoder', seededBlock)),
    ];
    const numbers = (each: LayersModel): number[][] => each.getWeights().map((weight) => [...weight.dataSync()]);
    expect(numbers(model)).toEqual(numbers(again));
    // Each weight draws its own numbers, or the queries would be the keys.
    const begun = numbers(model).filter((weight) => new Set(weight).size > 1);
    expect(new Set(begun.map(([value]) => value)).size).toBe(begun.length);
    const x = tf.tensor([[1, 2, 3, 4, 0, 0]]);
    const { grads } = tf.variableGrads(() => tf.sum(tf.square(model.apply(x, { training: true }) as tf.Tensor)));
    // The bias of the keys moves all scores of a step alike, so it has no effect.
    const still = Object.entries(grads).filter(([, gradient]) => tf.max(tf.abs(gradient)).dataSync()[0]! < 1e-6);
    expect(Object.keys(grads)).toHaveLength(model.weights.length);
    expect(still.map(([name]) => name)).toEqual([expect.stringContaining('key/bias')]);
  });

  it('pool the steps of a sequence that are not masked', async () => {
    const pooled = async (mode: string): Promise<number[][]> => {
      const model = await build(layer('Masking', { mask_value: 9, batch_input_shape: [null, 3, 2] }), layer('SequencePooling', { mode }));
      const rows = [
        [
          [1, 2],
          [3, 6],
          [9, 9],
        ],
        [
          [9, 9],
          [9, 9],
          [9, 9],
        ],
      ];
      return (model.predict(tf.tensor(rows)) as tf.Tensor2D).arraySync();
    };
    expect(await pooled('mean')).toEqual([
      [2, 4],
      [0, 0],
    ]);
    // Masking sets what it masks to 0.
    expect(await pooled('last')).toEqual([
      [3, 6],
      [0, 0],
    ]);
    await expect(pooled('first')).rejects.toThrowError('mode must be "mean" or "last"');
  });

  it('let a causal step see no later one, and nobody a masked one', async () => {
    const attention = (config: object) =>
      build(
        layer('Masking', { mask_value: 9, batch_input_shape: [null, 4, 2] }),
        layer('MultiHeadAttention', { num_heads: 2, key_dim: 2, ...config }),
      );
    const outputsOf = (model: LayersModel, last: readonly number[]): number[][] => {
      const x = tf.tensor([[[1, 2], [3, 4], [5, 6], [...last]]] as never, [1, 4, 2]);
      return (model.predict(x) as tf.Tensor3D).arraySync()[0]!;
    };
    const causal = await attention({ use_causal_mask: true });
    expect(outputsOf(causal, [7, 8]).slice(0, 3)).toEqual(outputsOf(causal, [-7, 0]).slice(0, 3));
    const open = await attention({});
    expect(outputsOf(open, [7, 8])[0]).not.toEqual(outputsOf(open, [-7, 0])[0]);
    const short = tf.tidy(
      () =>
        (
          open.layers[1]!.apply(
            tf.tensor([
              [
                [1, 2],
                [3, 4],
                [5, 6],
              ],
            ]),
          ) as tf.Tensor3D
        ).arraySync()[0]!,
    );
    for (const [step, row] of outputsOf(open, [9, 9]).slice(0, 3).entries()) {
      for (const [feature, value] of row.entries()) expect(value).toBeCloseTo(short[step]![feature]!, 5);
    }
  });

  it('refuse a sequence that is longer than their positions, and configs that are wrong', async () => {
    const model = await build({ ...embedding, config: { ...(embedding as { config: object }).config, batch_input_shape: [null, null] } });
    expect(() => model.predict(tf.zeros([1, 7]))).toThrowError('the sequence has 7 steps; the layer has positions for 6');
    await expect(build(embedding, layer('TransformerEncoder', { num_heads: 'two' }))).rejects.toThrowError('numHeads must be a number');
  });
});
