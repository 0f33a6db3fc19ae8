import { describe, expect, it } from 'vitest';
import { compileLayersModel } from '../../../../src/compiler/compile.ts';
import { encodeOnnx } from '../../../../src/compiler/onnx/encode-onnx.ts';
import { int8Dynamic, type Int8DynamicOptions } from '../../../../src/optimization/quantization/int8-dynamic.ts';
import { decodeWeights } from '../../../../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../../../../src/packages/tfjs/model-file.ts';
import { readWeights } from '../../../../src/packages/tfjs/read-weights.ts';
import type { NamedTensors } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { fixtureFolder, modelFolder } from '../../../helpers/fixture-models.ts';
import { node, onnxModel, type OnnxModelOptions } from '../../../helpers/onnx-model.ts';
import { optimizedOperators } from '../../../helpers/optimized-operators.ts';
import { DIGITS, digitsAccuracy, modelBytes, relativeDifference, runModel, weights } from '../../../helpers/quantization.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

async function quantized(folder: string, options?: Int8DynamicOptions) {
  const target = await temporaryFolder();
  return { target, report: await int8Dynamic({ folder, target }, options) };
}

const float = (value: number) => ({ type: 1, f: value });

describe('dynamic int8', () => {
  it('makes the dense layers of the digits model smaller without loss, and says what stays', async () => {
    const { target, report } = await quantized(DIGITS);
    expect(report).toMatchObject({ changed: { Gemm: 3 }, unchanged: [expect.stringMatching(/^2 × Conv: /)] });
    expect((await modelBytes(DIGITS)) / (await modelBytes(target))).toBeGreaterThan(3);
    expect(await digitsAccuracy(target)).toBeGreaterThanOrEqual((await digitsAccuracy(DIGITS)) - 0.005);
    expect(await optimizedOperators(target)).toMatchObject({ DynamicQuantizeMatMul: 3 });
  });

  it.each<[string, Int8DynamicOptions]>([
    ['a scale for each column', {}],
    ['one scale', { perChannel: false }],
    ['7 bits', { reduceRange: true }],
  ])('multiplies by every kind of matrix with %s', async (_what, options) => {
    const model: OnnxModelOptions = {
      inputs: [{ name: 'x', type: 'FP32', shape: ['n', 12] }],
      outputs: [{ name: 'y', type: 'FP32' }],
      nodes: [
        node(
          'Gemm',
          ['x', 'turned', 'b1'],
          ['a'],
          [
            { name: 'transB', type: 2, i: 1 },
            { name: 'alpha', ...float(0.5) },
            { name: 'beta', ...float(2) },
          ],
        ),
        node('Relu', ['a'], ['r']),
        node('Gemm', ['r', 'upright'], ['g']),
        node('MatMul', ['g', 'last'], ['p']),
        node('Add', ['p', 'b2'], ['y']),
      ],
      initializers: [
        weights('turned', [16, 12], 1),
        weights('b1', [16], 2),
        weights('upright', [16, 8], 3),
        weights('last', [8, 4], 4),
        weights('b2', [4], 5),
      ],
    };
    const folder = await modelFolder({ 'model.onnx': onnxModel(model) });
    const { target, report } = await quantized(folder, options);
    expect(report.changed).toEqual({ Gemm: 2, MatMul: 1 });
    const inputs: NamedTensors = new Map([['x', { dtype: 'FP32', shape: [9, 12], data: randomNumbers(108, 7) }]]);
    const difference = relativeDifference(await runModel(folder, inputs), await runModel(target, inputs));
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(0.05);
    const operators = await optimizedOperators(target);
    expect(operators).not.toHaveProperty('MatMul');
    expect(operators).not.toHaveProperty('Gemm');
  });

  it('holds a table of embeddings as int8', async () => {
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'ids', type: 'INT64', shape: ['n', 3] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [node('Gather', ['table', 'ids'], ['y'])],
        initializers: [weights('table', [500, 16], 1)],
      }),
    });
    const { target, report } = await quantized(folder);
    expect(report.changed).toEqual({ Gather: 1 });
    const ids: NamedTensors = new Map([['ids', { dtype: 'INT64', shape: [2, 3], data: BigInt64Array.of(0n, 499n, 3n, 7n, 7n, 250n) }]]);
    expect(relativeDifference(await runModel(folder, ids), await runModel(target, ids))).toBeLessThan(0.005);
    expect(report.weightBytes.before / report.weightBytes.after).toBeGreaterThan(3);
  });

  it('leaves a compiled transformer what it says', async () => {
    const source = fixtureFolder('transformer-layers');
    const file = await readModelFile(source);
    const graph = compileLayersModel(file.modelTopology, decodeWeights(await readWeights(source, file.weightsManifest)));
    const folder = await modelFolder({ 'model.onnx': Buffer.concat(encodeOnnx(graph).model) });
    const { target, report } = await quantized(folder);
    expect(report.changed['MatMul']).toBeGreaterThan(3);
    const [input] = graph.inputs;
    const shape = [4, Number(input!.shape[1])];
    const data = Float32Array.from({ length: shape[0]! * shape[1]! }, (_value, at) => (at * 5) % 7);
    const inputs: NamedTensors = new Map([[input!.name, { dtype: 'FP32', shape, data }]]);
    expect(relativeDifference(await runModel(folder, inputs), await runModel(target, inputs))).toBeLessThan(0.1);
  });

  it('is refused where there is nothing to do, with reasons', async () => {
    await expect(quantized(fixtureFolder('times-three'))).rejects.toMatchObject({
      code: 'TECHNIQUE_INAPPLICABLE',
      message: 'The model has no product with a constant matrix',
    });
  });
});
