import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { MultiHeadAttention } from '../../../../src/engines/tfjs/layers/attention.ts';
import { PositionEmbedding, SinePositionEncoding, TokenAndPositionEmbedding } from '../../../../src/engines/tfjs/layers/positions.ts';
import { registerLayers } from '../../../../src/engines/tfjs/layers/register.ts';
import { SequencePooling } from '../../../../src/engines/tfjs/layers/sequence-pooling.ts';
import { TransformerDecoder, TransformerEncoder } from '../../../../src/engines/tfjs/layers/transformer.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { compile, expectSameAsTfjs, randomNumbers, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';

type Symbolic = tf.SymbolicTensor;

registerLayers();

const seed = fc.integer({ min: 1, max: 1e6 });
const small = fc.integer({ min: 1, max: 4 });
const check = <Config>(arbitrary: fc.Arbitrary<Config>, test: (config: Config) => Promise<unknown>, numRuns = 15): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (config) => void (await test(config))),
    { numRuns },
  );

/** Whole numbers from 0 to 5; the first row ends with zeros, the last one is nothing but zeros. */
function tokens(batch: number, steps: number, seed: number): Tensor {
  const data = randomNumbers(batch * steps, seed).map((value) => Math.floor((value + 1) * 3));
  data.fill(0, steps - 2, steps);
  data.fill(0, (batch - 1) * steps);
  return { dtype: 'FP32', shape: [batch, steps], data };
}

describe('attention gives what tfjs gives', () => {
  it('MultiHeadAttention of a sequence to itself and to others', () =>
    check(
      fc.record({
        seed,
        inputs: fc.integer({ min: 1, max: 3 }),
        open: fc.boolean(),
        config: fc.record({
          numHeads: small,
          keyDim: small,
          valueDim: fc.option(small, { nil: undefined }),
          useBias: fc.boolean(),
          useCausalMask: fc.boolean(),
        }),
      }),
      async ({ seed, inputs: count, open, config }) => {
        const shapes = [
          [5, 3],
          [7, 2],
          [7, 4],
        ].slice(0, count);
        const inputs = shapes.map(([steps, features]) => tf.input({ shape: [open ? null : steps!, features!] }));
        const outputs = new MultiHeadAttention(config).apply(inputs) as Symbolic;
        const model = withRandomWeights(tf.model({ inputs, outputs }), seed);
        await expectSameAsTfjs(
          model,
          shapes.map((shape, index) => randomTensor([2, ...shape], seed + index)),
        );
      },
    ));

  it.each([
    ['TransformerEncoder', TransformerEncoder],
    ['TransformerDecoder', TransformerDecoder],
  ])('%s, in stacks, masked or not', (_name, Block) =>
    check(
      fc.record({
        seed,
        masked: fc.boolean(),
        open: fc.boolean(),
        heads: fc.constantFrom(1, 2, 4),
        normalizeFirst: fc.boolean(),
        activation: fc.constantFrom('relu', 'gelu'),
        inner: small,
      }),
      async ({ seed, masked, open, heads: numHeads, inner: intermediateDim, ...config }) => {
        const block = () => new Block({ numHeads, intermediateDim, dropout: 0.3, ...config });
        const model = tf.sequential({
          layers: [
            new TokenAndPositionEmbedding({
              vocabularySize: 6,
              sequenceLength: 8,
              embeddingDim: 4,
              maskZero: masked,
              inputShape: [open ? null : 6],
            }),
            block(),
            block(),
            tf.layers.dense({ units: 3, activation: 'softmax' }),
          ],
        });
        await expectSameAsTfjs(withRandomWeights(model, seed), [tokens(3, 6, seed)]);
      },
    ),
  );

  it('SequencePooling, masked or not', () =>
    check(
      fc.record({ seed, masked: fc.boolean(), open: fc.boolean(), mode: fc.constantFrom('mean', 'last') }),
      async ({ seed, masked, open, mode }) => {
        const model = tf.sequential({
          layers: [
            tf.layers.embedding({ inputDim: 6, outputDim: 3, maskZero: masked, inputShape: [open ? null : 5] }),
            new SequencePooling({ mode }),
            tf.layers.dense({ units: 2, activation: 'softmax' }),
          ],
        });
        await expectSameAsTfjs(withRandomWeights(model, seed), [tokens(3, 5, seed)]);
      },
    ));

  it('PositionEmbedding and SinePositionEncoding', () =>
    check(
      fc.record({ seed, steps: fc.integer({ min: 1, max: 6 }), features: fc.integer({ min: 1, max: 7 }), open: fc.boolean() }),
      async ({ seed, steps, features, open }) => {
        const input = tf.input({ shape: [open ? null : steps, features] });
        const outputs = [new PositionEmbedding({ sequenceLength: 6 }), new SinePositionEncoding({ maxWavelength: 100 })].map(
          (layer) => tf.layers.add().apply([input, layer.apply(input) as Symbolic]) as Symbolic,
        );
        await expectSameAsTfjs(withRandomWeights(tf.model({ inputs: input, outputs }), seed), [randomTensor([2, steps, features], seed)]);
      },
    ));

  it('refuses what the layers do not do', async () => {
    const [left, right] = [tf.input({ shape: [4] }), tf.input({ shape: [4] })].map(
      (input) => tf.layers.embedding({ inputDim: 6, outputDim: 4, maskZero: true }).apply(input) as Symbolic,
    );
    const inputs = [left!, right!].map((embedded) => embedded.inputs[0]!);
    const cross = new MultiHeadAttention({ numHeads: 1, keyDim: 2 }).apply([left!, right!]) as Symbolic;
    await expect(compile(tf.model({ inputs, outputs: cross }))).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('masks count in self-attention alone'),
    });
    const positions = new PositionEmbedding({ sequenceLength: 3, name: 'places' });
    const input = tf.input({ shape: [4, 2] });
    await expect(compile(tf.model({ inputs: input, outputs: positions.apply(input) as Symbolic }))).rejects.toMatchObject({
      message: 'The layer "places" (PositionEmbedding): its input has 4 steps, and it has positions for 3 ("sequence_length").',
    });
  });
});
