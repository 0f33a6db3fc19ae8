import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { onnxEngine } from '../../src/engines/onnx/onnx-engine.ts';
import type { DeviceKind, Engine } from '../../src/engines/engine.ts';
import { createTfjsEngine } from '../../src/engines/tfjs/tfjs-engine.ts';
import type { ModelFormat } from '../../src/packages/formats.ts';
import { fixtureFolder, loadForTest } from '../helpers/fixture-models.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { runningServer } from '../helpers/running-server.ts';
import { accuracyOf, UNSEEN_COUNT, unseenImages, unseenLabels } from '../helpers/unseen-digits.ts';
import { hasWebGpu, NEEDS_WEBGPU } from '../helpers/webgpu.ts';

const CLASSES = 10;

/** The probabilities of every unseen digit. The layout of the image is the model's own; for one channel both are the same bytes. */
async function probabilities(engine: Engine, folder: string, format: ModelFormat, device?: DeviceKind): Promise<Float32Array> {
  const model = await loadForTest(engine, folder, format, { device });
  const [input] = model.signature.inputs;
  const [output] = model.signature.outputs;
  const { data: pixels } = unseenImages(0, UNSEEN_COUNT);
  const shape = [UNSEEN_COUNT, ...input!.shape!.slice(1)];
  const answer = await model.run(new Map([[input!.name, { dtype: 'FP32', shape, data: pixels }]]), [output!.name]);
  const { data, shape: given } = answer.get(output!.name)!;
  expect(given).toEqual([UNSEEN_COUNT, CLASSES]);
  return data as Float32Array;
}

const bundled = fileURLToPath(new URL('../../models/digits/1', import.meta.url));
const wasm = createTfjsEngine({ backends: ['wasm'] });
const tensorflow = createTfjsEngine({ backends: ['tensorflow'] });
const webgpu = createTfjsEngine({ backends: ['webgpu'] });

describe('the digits model', () => {
  it('knows digits that it has not seen, and gives each a probability', async () => {
    const scores = await probabilities(onnxEngine, bundled, 'onnx');
    expect(UNSEEN_COUNT).toBeGreaterThanOrEqual(100);
    expect(accuracyOf(scores, unseenLabels)).toBeGreaterThanOrEqual(0.97);
    for (let start = 0; start < scores.length; start += CLASSES) {
      expect(scores.subarray(start, start + CLASSES).reduce((sum, score) => sum + score)).toBeCloseTo(1, 5);
    }
  });

  // ONNX Runtime has kernels that are wrong on SwiftShader, for this model too: then the CPU has to answer, and say so.
  it('says the same where it asks for a GPU', async ({ skip }) => {
    skip(!hasWebGpu, NEEDS_WEBGPU);
    const { device, reason } = await loadForTest(onnxEngine, bundled, 'onnx', { device: 'webgpu' });
    if (device === 'cpu') expect(reason).toMatch(/on test inputs its answers differ from those of the CPU provider by \d/);
    const expected = await probabilities(onnxEngine, bundled, 'onnx');
    const scores = await probabilities(onnxEngine, bundled, 'onnx', 'webgpu');
    expect(expected.every((score, at) => Math.abs(score - scores[at]!) < 1e-4)).toBe(true);
  });

  it('tells of the job that has trained it', async () => {
    const { address } = await runningServer(['digits']);
    const { lineage, metrics } = (await (await fetch(`${address}/models/digits/versions/1/lineage`)).json()) as {
      lineage: Record<string, unknown>;
      metrics: Record<string, number>;
    };
    expect(lineage).toMatchObject({
      job: expect.any(String),
      dataset: { digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      rows: { train: 8000, test: 2000 },
      measuredOn: 'test',
      spec: { architecture: { kind: 'lenet5' }, optimizer: { kind: 'adam', learningRate: 0.001 }, epochs: 10, seed: 1 },
    });
    expect(metrics['accuracy']).toBeGreaterThanOrEqual(0.98);
  });

  it.for<[string, Engine, string, ModelFormat]>([
    ['a TF.js layers model on WebAssembly', wasm, 'digits-layers', 'tfjs-layers'],
    ['a TF.js graph model on WebAssembly', wasm, 'digits-graph', 'tfjs-graph'],
    ['a TF.js layers model on WebGPU', webgpu, 'digits-layers', 'tfjs-layers'],
    ['a TF.js graph model on WebGPU', webgpu, 'digits-graph', 'tfjs-graph'],
    ['a TF.js layers model on native TensorFlow', tensorflow, 'digits-layers', 'tfjs-layers'],
    ['a TF.js graph model on native TensorFlow', tensorflow, 'digits-graph', 'tfjs-graph'],
  ])('says the same as %s', async ([_what, engine, fixture, format], { skip }) => {
    skip(engine === webgpu && !hasWebGpu, NEEDS_WEBGPU);
    skip(engine === tensorflow && tensorflowFolder === undefined, NEEDS_TENSORFLOW);
    const [expected, scores] = [
      await probabilities(onnxEngine, bundled, 'onnx'),
      await probabilities(engine, fixtureFolder(fixture), format),
    ];
    expect(expected.every((score, at) => Math.abs(score - scores[at]!) < 1e-4)).toBe(true);
  });
});
