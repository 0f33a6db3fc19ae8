import { describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../../src/engines/engine.ts';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import { loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { fp32 } from '../../../helpers/tensors.ts';
import { denseLayer, sequentialTopology, type TfjsWeight, tfjsFiles } from '../../../helpers/tfjs-model.ts';

const engine = createTfjsEngine();

function floats(name: string, shape: readonly number[], values: readonly number[]): TfjsWeight {
  return { name, shape, dtype: 'float32', data: Float32Array.from(values) };
}

async function load(layers: readonly object[], weights: readonly TfjsWeight[]): Promise<LoadedModel> {
  const folder = await modelFolder(tfjsFiles({ format: 'layers-model', modelTopology: sequentialTopology(layers), weights }));
  return loadForTest(engine, folder, 'tfjs-layers');
}

/** A recurrent layer as Keras writes it, with the orthogonal initializer that is slow to compute. */
function recurrentLayer(
  className: 'LSTM' | 'GRU',
  units: number,
  batchInputShape: readonly (number | null)[],
  config: object = {},
): object {
  return {
    class_name: className,
    config: {
      name: 'rnn',
      batch_input_shape: batchInputShape,
      units,
      activation: 'tanh',
      recurrent_activation: 'sigmoid',
      recurrent_initializer: { class_name: 'Orthogonal', config: { gain: 1, seed: null } },
      unit_forget_bias: true,
      ...(className === 'GRU' && { reset_after: false }),
      ...config,
    },
  };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

describe('layers models', () => {
  it('run an LSTM', async () => {
    // One unit, one step, no kernels: the biases of the gates i, f, c, o alone make the answer.
    const model = await load(
      [recurrentLayer('LSTM', 1, [null, null, 2])],
      [
        floats('rnn/kernel', [2, 4], Array(8).fill(0)),
        floats('rnn/recurrent_kernel', [1, 4], Array(4).fill(0)),
        floats('rnn/bias', [4], [0.5, 1, -0.5, 2]),
      ],
    );
    expect(model.backend).toBe('wasm');
    expect(model.signature).toEqual({
      inputs: [{ name: 'rnn_input', dtype: 'FP32', shape: [-1, -1, 2] }],
      outputs: [{ name: 'rnn', dtype: 'FP32', shape: [-1, 1] }],
    });
    const { data } = (await model.run(new Map([['rnn_input', fp32([1, 2], [1, 1, 2])]]), ['rnn'])).get('rnn')!;
    expect(data[0]).toBeCloseTo(sigmoid(2) * Math.tanh(sigmoid(0.5) * Math.tanh(-0.5)), 5);
  });

  it('run a GRU', async () => {
    // Gates z, r, h: with a state of zero the answer is (1 − z) · tanh(h).
    const model = await load(
      [recurrentLayer('GRU', 1, [null, 1, 1])],
      [floats('rnn/kernel', [1, 3], [0, 0, 1]), floats('rnn/recurrent_kernel', [1, 3], [0, 0, 0]), floats('rnn/bias', [3], [0.5, 0, 0])],
    );
    const { data } = (await model.run(new Map([['rnn_input', fp32([0.7], [1, 1, 1])]]), ['rnn'])).get('rnn')!;
    expect(data[0]).toBeCloseTo((1 - sigmoid(0.5)) * Math.tanh(0.7), 5);
  });

  it('start a stateful layer without what the trial run left in it', async () => {
    const model = await load(
      [recurrentLayer('LSTM', 1, [1, 1, 1], { stateful: true })],
      [
        floats('rnn/kernel', [1, 4], [0, 0, 1, 0]),
        floats('rnn/recurrent_kernel', [1, 4], Array(4).fill(0)),
        floats('rnn/bias', [4], [0, 0, 1, 0]),
      ],
    );
    const { data } = (await model.run(new Map([['rnn_input', fp32([1], [1, 1, 1])]]), ['rnn'])).get('rnn')!;
    expect(data[0]).toBeCloseTo(0.5 * Math.tanh(0.5 * Math.tanh(2)), 5);
  });

  it('take integers through an embedding', async () => {
    const model = await load(
      [
        { class_name: 'InputLayer', config: { name: 'tokens', batch_input_shape: [null, null], dtype: 'int32', sparse: false } },
        { class_name: 'Embedding', config: { name: 'embedding', input_dim: 3, output_dim: 2 } },
      ],
      [floats('embedding/embeddings', [3, 2], [0, 1, 10, 11, 20, 21])],
    );
    const [input] = model.signature.inputs;
    expect(input).toEqual({ name: 'tokens', dtype: 'INT32', shape: [-1, -1] });
    const answer = await model.run(new Map([['tokens', { dtype: 'INT32', shape: [1, 2], data: Int32Array.of(2, 1) }]]), ['embedding']);
    expect(answer.get('embedding')).toEqual(fp32([20, 21, 10, 11], [1, 2, 2]));
  });

  it('are tried with sizes that are enough for a convolution', async () => {
    const model = await load(
      [
        {
          class_name: 'Conv2D',
          config: {
            name: 'conv',
            batch_input_shape: [null, null, null, 1],
            filters: 1,
            kernel_size: [3, 3],
            padding: 'valid',
            use_bias: false,
          },
        },
      ],
      [floats('conv/kernel', [3, 3, 1, 1], Array(9).fill(1))],
    );
    expect(model.backend).toBe('wasm');
    expect(model.reason).not.toContain('trial run');
    const answer = await model.run(new Map([['conv_input', fp32(Array(9).fill(2), [1, 3, 3, 1])]]), ['conv']);
    expect(answer.get('conv')).toEqual(fp32([18], [1, 1, 1, 1]));
  });

  it('say so when the trial run failed on every backend', async () => {
    const model = await load(
      [
        {
          class_name: 'Conv2D',
          config: {
            name: 'conv',
            batch_input_shape: [null, null, null, 1],
            filters: 1,
            kernel_size: [40, 40],
            padding: 'valid',
            use_bias: false,
          },
        },
      ],
      [floats('conv/kernel', [40, 40, 1, 1], Array(1600).fill(1))],
    );
    expect(model).toMatchObject({ backend: 'wasm', reason: expect.stringContaining('trial run on zeros failed') });
    const answer = await model.run(new Map([['conv_input', fp32(Array(1600).fill(2), [1, 40, 40, 1])]]), ['conv']);
    expect(answer.get('conv')).toEqual(fp32([3200], [1, 1, 1, 1]));
    await expect(model.run(new Map([['conv_input', fp32([1, 2, 3, 4], [1, 2, 2, 1])]]), ['conv'])).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringContaining('too small'),
    });
  });

  it('refuse a layer that tfjs does not know, and name it', async () => {
    await expect(load([{ class_name: 'Frobnicate', config: { name: 'y', batch_input_shape: [null, 1] } }], [])).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('Frobnicate'),
    });
  });

  it('refuse weights that are not those of the layers', async () => {
    await expect(load([denseLayer('y', 1, { batch_input_shape: [null, 1] })], [])).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('y/kernel'),
    });
    await expect(load([denseLayer('y', 1, { batch_input_shape: [null, 1] })], [floats('z/kernel', [1, 1], [1])])).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('z/kernel'),
    });
  });
});
