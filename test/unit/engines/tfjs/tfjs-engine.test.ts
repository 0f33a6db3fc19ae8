import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../../src/engines/engine.ts';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import type { ModelFormat } from '../../../../src/packages/formats.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { fixtureFolder, loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { fp32 } from '../../../helpers/tensors.ts';
import {
  denseLayer,
  graphNode,
  graphTopology,
  placeholder,
  sequentialTopology,
  tensorInfo,
  tfjsFiles,
} from '../../../helpers/tfjs-model.ts';

const engine = createTfjsEngine();

const loadFixture = (name: string, format: ModelFormat): Promise<LoadedModel> => loadForTest(engine, fixtureFolder(name), format);

function bool(values: readonly number[]): Tensor {
  return { dtype: 'BOOL', shape: [values.length], data: Uint8Array.from(values) };
}

describe('choice of the backend', () => {
  it('takes wasm', async () => {
    const model = await loadFixture('times-three-graph', 'tfjs-graph');
    expect(model).toMatchObject({ backend: 'wasm', reason: 'tfjs on WebAssembly with SIMD.' });
  });

  it('falls back to cpu for a kernel that wasm lacks, and names it', async () => {
    const model = await loadFixture('einsum', 'tfjs-graph');
    expect(model.backend).toBe('cpu');
    expect(model.reason).toContain("'Einsum'");
    expect(await model.run(new Map([['x', fp32([1, 2], [1, 2])]]), ['y'])).toEqual(new Map([['y', fp32([3, 6], [1, 2])]]));
  });

  it('keeps each model on its own backend, when there are several', async () => {
    const onWasm = await loadFixture('times-three-graph', 'tfjs-graph');
    const onCpu = await loadFixture('einsum', 'tfjs-graph');
    for (let round = 0; round < 2; round += 1) {
      await onWasm.run(new Map([['x', fp32([1])]]), ['y']);
      expect(tf.getBackend()).toBe('wasm');
      await onCpu.run(new Map([['x', fp32([1, 2], [1, 2])]]), ['y']);
      expect(tf.getBackend()).toBe('cpu');
    }
  });

  it('says that an operator is unknown, at load', async () => {
    const folder = await modelFolder(
      tfjsFiles({
        format: 'graph-model',
        modelTopology: graphTopology([placeholder('x', 'DT_FLOAT', [-1]), graphNode('y', 'Frobnicate', ['x'])]),
        weights: [],
        signature: { inputs: { x: tensorInfo('x:0', 'DT_FLOAT', [-1]) }, outputs: { y: tensorInfo('y:0', 'DT_FLOAT', [-1]) } },
      }),
    );
    await expect(engine.load({ folder, format: 'tfjs-graph', threads: 1 })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('Frobnicate'),
    });
  });
});

describe('a run', () => {
  it.each([
    ['times-three-layers', 'tfjs-layers', { x: fp32([1], [1, 1]) }, 'y'],
    ['times-three-graph', 'tfjs-graph', { x: fp32([1]) }, 'y'],
    ['true-indices', 'tfjs-graph', { x: bool([1, 0, 1]) }, 'indices'],
    ['einsum', 'tfjs-graph', { x: fp32([1, 2], [1, 2]) }, 'y'],
  ] as const)('leaves no tensor behind, failed or not: %s', async (fixture, format, inputs, output) => {
    const model = await loadFixture(fixture, format);
    const named = new Map<string, Tensor>(Object.entries(inputs));
    const wrong = new Map([['x', fp32([1, 2, 3, 4], [1, 2, 2])]]);
    await model.run(named, [output]);
    const before = tf.memory().numTensors;
    for (let round = 0; round < 3; round += 1) {
      await model.run(named, [output]);
      await expect(model.run(wrong, [output])).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('leaves nothing of the model behind, once that is disposed', async () => {
    const before = tf.memory().numTensors;
    for (const [fixture, format] of [
      ['times-three-layers', 'tfjs-layers'],
      ['times-three-graph', 'tfjs-graph'],
    ] as const) {
      const model = await engine.load({ folder: fixtureFolder(fixture), format, threads: 1 });
      await model.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('goes through control flow', async () => {
    const model = await loadFixture('true-indices', 'tfjs-graph');
    expect(model.signature.outputs).toEqual([{ name: 'indices', dtype: 'INT32', shape: [-1, 1] }]);
    const answer = await model.run(new Map([['x', bool([0, 1, 1, 0, 1])]]), ['indices']);
    expect(answer).toEqual(new Map([['indices', { dtype: 'INT32', shape: [3, 1], data: Int32Array.of(1, 2, 4) }]]));
  });

  it('does not lose a weight that is an output of a graph with control flow', async () => {
    const folder = await modelFolder(
      tfjsFiles({
        format: 'graph-model',
        modelTopology: graphTopology([
          placeholder('x', 'DT_BOOL', [-1]),
          graphNode('where', 'Where', ['x'], { T: { type: 'DT_BOOL' } }),
          graphNode('weight', 'Const', [], { dtype: { type: 'DT_FLOAT' }, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: {} } } }),
        ]),
        weights: [{ name: 'weight', shape: [2], dtype: 'float32', data: Float32Array.of(5, 6) }],
        signature: {
          inputs: { x: tensorInfo('x:0', 'DT_BOOL', [-1]) },
          outputs: { indices: tensorInfo('where:0', 'DT_INT64', [-1, 1]), weight: tensorInfo('weight:0', 'DT_FLOAT', [2]) },
        },
      }),
    );
    const model = await loadForTest(engine, folder, 'tfjs-graph');
    for (let round = 0; round < 3; round += 1) {
      expect((await model.run(new Map([['x', bool([1])]]), ['weight', 'indices'])).get('weight')).toEqual(fp32([5, 6]));
    }
  });
});

describe('an output that is a weight', () => {
  it.each(['wasm', 'cpu'] as const)('is handed over as memory of its own by %s', async (backend) => {
    const folder = await modelFolder(
      tfjsFiles({
        format: 'graph-model',
        modelTopology: graphTopology([
          graphNode('weight', 'Const', [], { dtype: { type: 'DT_FLOAT' }, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: {} } } }),
          graphNode('y', 'Identity', ['weight'], { T: { type: 'DT_FLOAT' } }),
        ]),
        weights: [{ name: 'weight', shape: [2], dtype: 'float32', data: Float32Array.of(5, 6) }],
        signature: { inputs: {}, outputs: { y: tensorInfo('y:0', 'DT_FLOAT', [2]) } },
      }),
    );
    const model = await loadForTest(createTfjsEngine({ backends: [backend] }), folder, 'tfjs-graph');
    const first = await model.run(new Map(), ['y']);
    (first.get('y')!.data as Float32Array).fill(99);
    expect(await model.run(new Map(), ['y'])).toEqual(new Map([['y', fp32([5, 6])]]));
  });
});

describe('quantized weights', () => {
  it('of uint8 are read from a fixture', async () => {
    const model = await loadFixture('times-three-quantized', 'tfjs-layers');
    expect(model.signature.inputs).toEqual([{ name: 'y_input', dtype: 'FP32', shape: [-1, 2] }]);
    expect(await model.run(new Map([['y_input', fp32([1, -2], [1, 2])]]), ['y'])).toEqual(new Map([['y', fp32([3, -6], [1, 2])]]));
  });

  it.each([
    ['uint8', { scale: 0.5, min: -1 }, Uint8Array.of(8, 0)],
    ['uint16', { scale: 0.001, min: -1 }, Uint16Array.of(4000, 0)],
    ['float16', {}, Uint16Array.of(0x4200, 0xbc00)],
  ] as const)('of %s are read', async (dtype, parameters, data) => {
    const folder = await modelFolder(
      tfjsFiles({
        format: 'layers-model',
        modelTopology: sequentialTopology([denseLayer('y', 2, { batch_input_shape: [null, 1] })]),
        weights: [{ name: 'y/kernel', shape: [1, 2], dtype: 'float32', quantization: { dtype, ...parameters }, data }],
      }),
    );
    const model = await loadForTest(engine, folder, 'tfjs-layers');
    const { data: values } = (await model.run(new Map([['y_input', fp32([2], [1, 1])]]), ['y'])).get('y')!;
    expect(values[0]).toBeCloseTo(6, 5);
    expect(values[1]).toBeCloseTo(-2, 5);
  });
});
