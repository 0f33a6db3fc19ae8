import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { compile, expectSameAsTfjs, randomTensor, withRandomWeights } from '../../../helpers/compiled-model.ts';

type Symbolic = tf.SymbolicTensor;

const seed = fc.integer({ min: 1, max: 1e6 });
const small = fc.integer({ min: 1, max: 4 });
const check = <Config>(arbitrary: fc.Arbitrary<Config>, test: (config: Config) => Promise<unknown>, numRuns = 20): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (config) => void (await test(config))),
    { numRuns },
  );

describe('merging layers give what tfjs gives', () => {
  it.each(['add', 'average', 'maximum', 'minimum', 'multiply', 'concatenate'] as const)(
    '%s, of images from convolutions and from elsewhere',
    (kind) =>
      check(
        fc.record({
          seed,
          sizes: fc.tuple(small, small),
          count: fc.integer({ min: 2, max: 4 }),
          convolved: fc.nat(15),
          axis: fc.constantFrom(1, 2, 3, -1),
        }),
        async ({ seed, sizes, count, convolved, axis }) => {
          const inputs = Array.from({ length: count }, () => tf.input({ shape: [...sizes, 2] }));
          const parts = inputs.map((input, index) =>
            ((convolved >> index) & 1) === 0 ? input : (tf.layers.conv2d({ filters: 2, kernelSize: 1 }).apply(input) as Symbolic),
          );
          const merged = (kind === 'concatenate' ? tf.layers.concatenate({ axis }) : tf.layers[kind]()).apply(parts) as Symbolic;
          const outputs = tf.layers.conv2d({ filters: 2, kernelSize: 1 }).apply(merged) as Symbolic;
          const model = withRandomWeights(tf.model({ inputs, outputs: [outputs, merged] }), seed);
          await expectSameAsTfjs(
            model,
            inputs.map((_input, index) => randomTensor([2, ...sizes, 2], seed + index)),
          );
        },
      ),
  );

  it('adds inputs of different ranks and sizes', async () => {
    const inputs = [tf.input({ shape: [3, 4, 2] }), tf.input({ shape: [2] }), tf.input({ shape: [4, 1] })];
    const convolved = tf.layers.conv2d({ filters: 2, kernelSize: 1 }).apply(inputs[0]!) as Symbolic;
    const model = withRandomWeights(
      tf.model({ inputs, outputs: tf.layers.add().apply([convolved, inputs[1]!, inputs[2]!]) as Symbolic }),
      3,
    );
    await expectSameAsTfjs(model, [randomTensor([2, 3, 4, 2], 1), randomTensor([2, 2], 2), randomTensor([2, 4, 1], 3)]);
  });

  it('joins and adds flattened images', async () => {
    const inputs = [tf.input({ shape: [3, 2, 2] }), tf.input({ shape: [3, 2, 2] })];
    const flat = inputs.map((input) => tf.layers.flatten().apply(tf.layers.conv2d({ filters: 3, kernelSize: 2 }).apply(input)) as Symbolic);
    const other = tf.layers.flatten().apply(inputs[0]!) as Symbolic;
    const outputs = [
      tf.layers.add().apply(flat),
      tf.layers.concatenate().apply([...flat, other]),
      tf.layers.dense({ units: 2 }).apply(tf.layers.multiply().apply(flat)),
    ] as Symbolic[];
    await expectSameAsTfjs(withRandomWeights(tf.model({ inputs, outputs }), 4), [
      randomTensor([2, 3, 2, 2], 1),
      randomTensor([2, 3, 2, 2], 2),
    ]);
  });

  it('Dot', () =>
    check(
      fc.record({ seed, normalize: fc.boolean(), ranks: fc.tuple(fc.boolean(), fc.boolean()), axes: fc.tuple(fc.nat(1), fc.nat(1)) }),
      async ({ seed, normalize, ranks, axes }) => {
        const shapes = ranks.map((three, index) => (three ? (axes[index] === 0 ? [5, 2 + index] : [2 + index, 5]) : [5]));
        const inputs = shapes.map((shape) => tf.input({ shape }));
        const own = ranks.map((three, index) => (three ? axes[index]! + 1 : 1)) as [number, number];
        // tfjs multiplies a matrix by a vector along its last axis alone.
        fc.pre(ranks[0] === ranks[1] || (ranks[0] ? own[0] === 2 : own[1] === 1));
        const model = tf.model({ inputs, outputs: tf.layers.dot({ axes: own, normalize }).apply(inputs) as Symbolic });
        await expectSameAsTfjs(
          model,
          shapes.map((shape, index) => randomTensor([2, ...shape], seed + index)),
        );
      },
    ));
});

describe('masks', () => {
  it('pass layers that keep them and end at others', async () => {
    const input = tf.input({ shape: [5, 2] });
    const masked = tf.layers.masking({ maskValue: 0.5 }).apply(input);
    const kept = tf.layers.dropout({ rate: 0.5 }).apply(tf.layers.dense({ units: 3, activation: 'relu' }).apply(masked));
    const outputs = [
      tf.layers.lstm({ units: 2, recurrentInitializer: 'glorotNormal' }).apply(kept),
      tf.layers.globalMaxPooling1d().apply(masked),
    ] as Symbolic[];
    const x = randomTensor([2, 5, 2], 3);
    (x.data as Float32Array).fill(0.5, 2, 6);
    await expectSameAsTfjs(withRandomWeights(tf.model({ inputs: input, outputs }), 2), [x]);
  });

  it('of joined features count where all do', async () => {
    const inputs = [tf.input({ shape: [4] }), tf.input({ shape: [4] })];
    const embedded = inputs.map((input) => tf.layers.embedding({ inputDim: 4, outputDim: 2, maskZero: true }).apply(input) as Symbolic);
    const outputs = tf.layers
      .gru({ units: 2, recurrentInitializer: 'glorotNormal', returnSequences: true })
      .apply(tf.layers.concatenate().apply(embedded)) as Symbolic;
    // Where the masks of both are the same: tfjs takes the first one alone where they differ.
    const x = { dtype: 'FP32', shape: [2, 4], data: Float32Array.of(1, 0, 2, 3, 3, 3, 0, 0) } as const;
    await expectSameAsTfjs(withRandomWeights(tf.model({ inputs, outputs }), 2), [x, x]);
  });

  it('that tfjs loses or mixes up are refused', async () => {
    const input = tf.input({ shape: [4] });
    const embedded = tf.layers.embedding({ inputDim: 4, outputDim: 2, maskZero: true }).apply(input) as Symbolic;
    const lstm = () => tf.layers.lstm({ units: 2, recurrentInitializer: 'glorotNormal', name: `lstm${Math.random()}` });
    const added = tf.layers.add().apply([embedded, embedded]) as Symbolic;
    await expect(compile(tf.model({ inputs: input, outputs: lstm().apply(added) as Symbolic }))).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('no usable mask where masked inputs are merged'),
    });
    const convolved = tf.layers.conv1d({ filters: 2, kernelSize: 1 }).apply(embedded) as Symbolic;
    await expect(compile(tf.model({ inputs: input, outputs: lstm().apply(convolved) as Symbolic }))).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('heeds masks but gets none'),
    });
  });
});
