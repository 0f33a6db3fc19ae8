import { describe, expect, it } from 'vitest';
import { raiseOpset } from '../../../../src/optimization/onnx-model/raise-opset.ts';
import { readOnnxModel } from '../../../../src/optimization/onnx-model/read-model.ts';
import { writeOnnxModel } from '../../../../src/optimization/onnx-model/write-model.ts';
import type { NamedTensors } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, onnxModel, type OnnxModelOptions } from '../../../helpers/onnx-model.ts';
import { runModel } from '../../../helpers/quantization.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

type Node = OnnxModelOptions['nodes'][number];

const ints = (name: string, values: number[]) => ({ name, type: 7, ints: values });
const int = (name: string, value: number) => ({ name, type: 2, i: value });
const float = (name: string, value: number) => ({ name, type: 1, f: value });
const text = (name: string, value: string) => ({ name, type: 3, s: Buffer.from(value) });

const SHAPE = [2, 3, 4, 6];
const x: NamedTensors = new Map([['x', { dtype: 'FP32', shape: SHAPE, data: randomNumbers(144, 3) }]]);

function modelOf(opset: number, nodes: readonly Node[], initializers: OnnxModelOptions['initializers'] = []): Uint8Array {
  const [input, output] = [
    { name: 'x', type: 'FP32' as const, shape: SHAPE },
    { name: 'y', type: 'FP32' as const },
  ];
  return onnxModel({ inputs: [input], outputs: [output], nodes, initializers, opset, irVersion: 4 });
}

/** An operator as it was in an operator set, from x to y. */
const CASES: [string, number, readonly Node[], OnnxModelOptions['initializers']?][] = [
  ['Clip', 9, [node('Clip', ['x'], ['y'], [float('min', -0.25), float('max', 0.5)])]],
  ['Clip with one bound', 7, [node('Clip', ['x'], ['y'], [float('max', 0.5)])]],
  ['Pad', 9, [node('Pad', ['x'], ['y'], [ints('pads', [0, 0, 1, 2, 0, 0, 0, 1]), float('value', 0.5)])]],
  ['Pad by reflection', 10, [node('Pad', ['x'], ['y'], [ints('pads', [0, 0, 1, 2, 0, 0, 0, 1]), text('mode', 'reflect')])]],
  ['Slice', 9, [node('Slice', ['x'], ['y'], [ints('starts', [1, 0]), ints('ends', [3, 2]), ints('axes', [3, 2])])]],
  ['Slice of the first axes', 7, [node('Slice', ['x'], ['y'], [ints('starts', [0, 1]), ints('ends', [1, 3])])]],
  ['Split', 11, [node('Split', ['x'], ['y', 'rest'], [int('axis', 3), ints('split', [2, 4])])]],
  ['Split in equal parts', 11, [node('Split', ['x'], ['y', 'rest'], [int('axis', 2)])]],
  ['ReduceSum', 11, [node('ReduceSum', ['x'], ['y'], [ints('axes', [1, 3]), int('keepdims', 0)])]],
  [
    'Squeeze and Unsqueeze',
    11,
    [
      node('Unsqueeze', ['x'], ['a'], [ints('axes', [0, 3])]),
      node('Squeeze', ['a'], ['b'], [ints('axes', [3])]),
      node('Neg', ['b'], ['y']),
    ],
  ],
  ['Softmax of all axes from the second on', 11, [node('Softmax', ['x'], ['y'])]],
  ['Softmax from the third on', 9, [node('Softmax', ['x'], ['y'], [int('axis', 2)])]],
  ['LogSoftmax of the last axis', 12, [node('LogSoftmax', ['x'], ['y'], [int('axis', -1)])]],
  ['TopK', 9, [node('TopK', ['x'], ['y', 'places'], [int('k', 2), int('axis', 3)])]],
  ['Dropout', 10, [node('Dropout', ['x'], ['y'], [float('ratio', 0.5)])]],
  [
    'Upsample by an attribute',
    8,
    [node('Upsample', ['x'], ['y'], [{ name: 'scales', type: 6, floats: [1, 1, 2, 1.5] }, text('mode', 'nearest')])],
  ],
  ['Upsample by an input', 9, [node('Upsample', ['x', 's'], ['y'], [text('mode', 'linear')])], [floatInitializer('s', [4], [1, 1, 2, 2])]],
  ['Resize', 10, [node('Resize', ['x', 's'], ['y'], [text('mode', 'nearest')])], [floatInitializer('s', [4], [1, 1, 0.5, 1.5])]],
  [
    'BatchNormalization',
    7,
    [node('BatchNormalization', ['x', 'a', 'b', 'c', 'd'], ['y'], [int('spatial', 1)])],
    ['a', 'b', 'c', 'd'].map((name, at) => floatInitializer(name, [3], [0.5 + at, 1.5, 2])),
  ],
  ['AveragePool with its attributes', 7, [node('AveragePool', ['x'], ['y'], [ints('kernel_shape', [2, 2]), ints('strides', [2, 2])])]],
];

describe('a model of an old operator set', () => {
  it.each(CASES.map(([what, opset, nodes, initializers = []]) => ({ what, opset, nodes, initializers })))(
    'computes the same in the operator set 13: $what of $opset',
    async ({ opset, nodes, initializers }) => {
      const folder = await modelFolder({ 'model.onnx': modelOf(opset, nodes, initializers) });
      const model = await readOnnxModel(folder);
      raiseOpset(model);
      expect(model.opsets.get('')).toBe(13);
      const target = await temporaryFolder();
      await writeOnnxModel(model, target);
      const [before, after] = [await runModel(folder, x), await runModel(target, x)];
      expect(after.length).toBe(before.length);
      expect(Math.max(...after.map((value, at) => Math.abs(value - before[at]!)))).toBeLessThan(1e-6);
    },
  );

  it('says what it cannot bring there', async () => {
    const folder = await modelFolder({
      'model.onnx': modelOf(8, [node('BatchNormalization', ['x', 'x', 'x', 'x', 'x'], ['y'], [int('spatial', 0)])]),
    });
    const model = await readOnnxModel(folder);
    expect(() => raiseOpset(model)).toThrow(/^The model normalizes each place of an image by itself, which the operator set 13 cannot/);
  });
});
