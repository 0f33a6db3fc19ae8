import { describe, expect, it } from 'vitest';
import type { Dimension, Shape } from '../../../../src/compiler/graph/dimension.ts';
import { createGraphBuilder, type GraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import type { Value } from '../../../../src/compiler/graph/graph.ts';
import { OPERATORS, type OperatorName } from '../../../../src/compiler/graph/operators/operators.ts';
import { float, floats, int64, int64s } from '../../../../src/compiler/graph/tensors.ts';
import { type DType, STORAGE } from '../../../../src/tensor/dtype.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { runGraph } from '../../../helpers/run-graph.ts';

/** Sizes that the symbols of the cases stand for in the run. */
const SYMBOLS: Readonly<Record<string, number>> = { batch: 2, tokens: 5, width: 9 };

const MATH = { floor: Math.floor, ceil: Math.ceil };

/** The size that an inferred dimension says, by the arithmetic that its text is. */
function sizeOf(dimension: Dimension): number {
  if (typeof dimension === 'number') return dimension;
  const names = [...Object.keys(SYMBOLS), ...Object.keys(MATH)];
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- the text is arithmetic that the code under test wrote
  return (new Function(...names, `return ${dimension}`) as (...values: unknown[]) => number)(
    ...Object.values(SYMBOLS),
    ...Object.values(MATH),
  );
}

type Make = (builder: GraphBuilder, input: (shape: Shape, dtype?: DType) => Value) => readonly Value[];

const weight = (builder: GraphBuilder, shape: readonly number[]): Value =>
  builder.initializer('w', floats(shape, Array(shape.reduce((product, size) => product * size, 1)).fill(0.1)));

const one =
  (op: OperatorName, ...shapes: Shape[]): Make =>
  (builder, input) =>
    builder.addAll(
      op,
      shapes.map((shape) => input(shape)),
    );
const unary = (op: OperatorName): Make => one(op, ['batch', 3]);
const reduce =
  (op: OperatorName, axes: readonly number[], keepdims: number): Make =>
  (builder, input) =>
    builder.addAll(op, [input(['batch', 3, 4]), builder.constant(int64s(axes))], { keepdims });
const logical =
  (op: OperatorName): Make =>
  (builder, input) =>
    builder.addAll(op, [input(['batch', 3], 'BOOL'), input([3], 'BOOL')]);
const recurrent =
  (op: 'RNN' | 'GRU' | 'LSTM', gates: number, direction: string): Make =>
  (builder, input) => {
    const directions = direction === 'bidirectional' ? 2 : 1;
    const weights = [weight(builder, [directions, gates * 4, 3]), weight(builder, [directions, gates * 4, 4])];
    return builder.addAll(op, [input(['tokens', 'batch', 3]), ...weights], { hidden_size: 4, direction });
  };

/** Uses of each operator, with known sizes and with symbols. */
const CASES: Readonly<Record<OperatorName, readonly Make[]>> = {
  ...(Object.fromEntries(
    `Abs Ceil Cos Erf Exp Floor HardSwish Identity Log Mish Neg Reciprocal Relu Round Sigmoid Sign Sin Softplus Softsign Sqrt Tanh
     Elu HardSigmoid LeakyRelu Selu ThresholdedRelu Dropout RandomNormalLike RandomUniformLike Softmax LogSoftmax`
      .split(/\s+/)
      .map((op) => [op, [unary(op as OperatorName)]]),
  ) as Record<OperatorName, Make[]>),
  ...(Object.fromEntries(
    ['Add', 'Div', 'Mul', 'Sub', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Max', 'Min', 'Sum', 'Pow'].map((op) => [
      op,
      [one(op as OperatorName, ['batch', 3, 1], [3, 4]), one(op as OperatorName, [], ['batch'])],
    ]),
  ) as Record<OperatorName, Make[]>),
  And: [logical('And')],
  Or: [logical('Or')],
  Not: [(builder, input) => builder.addAll('Not', [input(['batch'], 'BOOL')])],
  Mod: [(builder, input) => builder.addAll('Mod', [input(['batch', 3]), input([3])], { fmod: 1 })],
  PRelu: [one('PRelu', ['batch', 3, 4], [3, 1])],
  Clip: [(builder, input) => builder.addAll('Clip', [input(['batch', 3]), builder.constant(float(0)), builder.constant(float(6))])],
  Where: [(builder, input) => builder.addAll('Where', [input(['batch', 1], 'BOOL'), input(['batch', 3]), input([])])],
  Cast: [(builder, input) => builder.addAll('Cast', [input(['batch', 3])], { to: 'INT64' })],
  MatMul: [
    one('MatMul', ['batch', 3, 4], [4, 5]),
    one('MatMul', ['batch', 7, 3, 4], ['batch', 7, 4, 3]),
    one('MatMul', [4], [4]),
    one('MatMul', ['batch', 4], [4]),
    one('MatMul', [4], ['batch', 4, 2]),
  ],
  Gemm: [
    one('Gemm', ['batch', 3], [3, 4], [4]),
    (builder, input) => builder.addAll('Gemm', [input([3, 'batch']), input([4, 3])], { transA: 1, transB: 1, alpha: 0.5 }),
  ],
  Einsum: [
    (builder, input) => builder.addAll('Einsum', [input(['batch', 'tokens', 3]), input([3, 2, 4])], { equation: 'abc,cde->abde' }),
    (builder, input) => builder.addAll('Einsum', [input(['batch', 'tokens', 3])], { equation: 'abc -> cb' }),
  ],
  Conv: [
    one('Conv', ['batch', 3, 9, 8], [4, 3, 3, 2], [4]),
    one('Conv', ['batch', 3, 'width'], [4, 3, 3]),
    (builder, input) =>
      builder.addAll('Conv', [input(['batch', 4, 'width', 9]), input([6, 2, 3, 3])], {
        group: 2,
        strides: [2, 3],
        dilations: [2, 1],
        pads: [1, 0, 2, 1],
      }),
    (builder, input) => builder.addAll('Conv', [input(['batch', 3, 'width']), input([4, 3, 3])], { auto_pad: 'SAME_UPPER', strides: [2] }),
  ],
  ConvTranspose: [
    one('ConvTranspose', ['batch', 3, 4, 'width'], [3, 2, 3, 3], [2]),
    (builder, input) =>
      builder.addAll('ConvTranspose', [input(['batch', 4, 'width', 5]), input([4, 3, 3, 3])], {
        group: 2,
        strides: [2, 2],
        pads: [1, 0, 0, 1],
        output_padding: [1, 0],
      }),
    (builder, input) =>
      builder.addAll('ConvTranspose', [input(['batch', 4, 'width']), input([4, 3, 3])], { auto_pad: 'SAME_UPPER', strides: [2] }),
    (builder, input) => builder.addAll('ConvTranspose', [input(['batch', 4, 5]), input([4, 3, 3])], { output_shape: [10], strides: [2] }),
  ],
  MaxPool: [
    (builder, input) => builder.addAll('MaxPool', [input(['batch', 3, 9, 'width'])], { kernel_shape: [2, 3], strides: [2, 2] }),
    (builder, input) =>
      builder.addAll('MaxPool', [input(['batch', 3, 9])], { kernel_shape: [2], strides: [2], ceil_mode: 1, pads: [1, 0] }),
  ],
  AveragePool: [
    (builder, input) => builder.addAll('AveragePool', [input(['batch', 3, 'width', 9])], { kernel_shape: [2, 2], strides: [2, 3] }),
    (builder, input) =>
      builder.addAll('AveragePool', [input(['batch', 3, 'width'])], { kernel_shape: [3], strides: [2], auto_pad: 'SAME_UPPER' }),
  ],
  GlobalAveragePool: [one('GlobalAveragePool', ['batch', 3, 4, 'width'])],
  GlobalMaxPool: [one('GlobalMaxPool', ['batch', 3, 'width'])],
  BatchNormalization: [one('BatchNormalization', ['batch', 3, 'width'], [3], [3], [3], [3])],
  LayerNormalization: [
    one('LayerNormalization', ['batch', 'tokens', 3], [3], [3]),
    (builder, input) => builder.addAll('LayerNormalization', [input(['batch', 4, 3]), input([4, 3])], { axis: 1, epsilon: 1e-3 }),
  ],
  ReduceL2: [reduce('ReduceL2', [1], 1)],
  ReduceMax: [reduce('ReduceMax', [-1], 0)],
  ReduceMean: [reduce('ReduceMean', [0, 2], 0)],
  ReduceMin: [reduce('ReduceMin', [0], 1)],
  ReduceProd: [reduce('ReduceProd', [1, 2], 1)],
  ReduceSum: [reduce('ReduceSum', [-2], 0), unary('ReduceSum')],
  ReduceSumSquare: [reduce('ReduceSumSquare', [2], 1)],
  ArgMax: [(builder, input) => builder.addAll('ArgMax', [input(['batch', 3])], { axis: -1, keepdims: 0 })],
  ArgMin: [unary('ArgMin')],
  CumSum: [(builder, input) => builder.addAll('CumSum', [input(['batch', 3]), builder.constant(int64(1))], { exclusive: 1 })],
  Reshape: [
    (builder, input) => builder.addAll('Reshape', [input(['batch', 3, 4]), builder.constant(int64s([0, -1]))]),
    (builder, input) => builder.addAll('Reshape', [input(['batch', 'tokens', 4]), builder.constant(int64s([-1, 2]))]),
  ],
  Transpose: [
    (builder, input) => builder.addAll('Transpose', [input(['batch', 3, 4])], { perm: [2, 0, 1] }),
    one('Transpose', ['batch', 3, 4]),
  ],
  Squeeze: [
    (builder, input) => builder.addAll('Squeeze', [input(['batch', 1, 4]), builder.constant(int64s([-2]))]),
    one('Squeeze', ['batch', 1, 4, 1]),
  ],
  Unsqueeze: [(builder, input) => builder.addAll('Unsqueeze', [input(['batch', 3]), builder.constant(int64s([0, -1]))])],
  Concat: [
    (builder, input) => builder.addAll('Concat', [input(['batch', 3]), input(['batch', 4])], { axis: -1 }),
    (builder, input) => builder.addAll('Concat', [input(['batch', 'tokens']), input(['batch', 'width']), input([2, 1])], { axis: 1 }),
  ],
  Split: [
    (builder, input) => builder.addAll('Split', [input(['batch', 6])], { axis: 1, num_outputs: 3 }),
    (builder, input) => builder.addAll('Split', [input(['batch', 6]), builder.constant(int64s([1, 5]))], { axis: -1 }),
  ],
  Slice: [
    ...[
      [0, 3, 1, 1],
      [-4, -1, 1, 1],
      [8, 0, 1, -2],
      [-1, -(2 ** 40), 1, -1],
      [2, 2 ** 40, 1, 1],
      [1, 100, 1, 2],
    ].map(
      (numbers): Make =>
        (builder, input) =>
          builder.addAll('Slice', [input(['batch', 9]), ...numbers.map((number) => builder.constant(int64s([number])))]),
    ),
    ...[
      [1, 2 ** 40],
      [1, -1],
      [-3, 2 ** 40],
      [1, 3],
      [-4, -2],
    ].map(
      (numbers): Make =>
        (builder, input) =>
          builder.addAll('Slice', [input(['tokens', 2]), ...numbers.map((number) => builder.constant(int64s([number])))]),
    ),
    (builder, input) => {
      const tokens = builder.add('Shape', [input(['tokens'])]);
      return builder.addAll('Slice', [input([8, 3]), builder.constant(int64s([1])), tokens]);
    },
    (builder, input) =>
      builder.addAll('Slice', [input(['tokens']), ...[-1, -(2 ** 40), 0, -1].map((number) => builder.constant(int64s([number])))]),
  ],
  Pad: [
    (builder, input) => builder.addAll('Pad', [input(['batch', 3, 'width']), builder.constant(int64s([0, 1, 2, 0, 0, -1]))]),
    (builder, input) =>
      builder.addAll('Pad', [
        input(['batch', 3]),
        builder.constant(int64s([1, 2])),
        builder.constant(float(7)),
        builder.constant(int64s([-1])),
      ]),
  ],
  Expand: [(builder, input) => builder.addAll('Expand', [input(['batch', 1]), builder.constant(int64s([3, 1, 4]))])],
  Tile: [(builder, input) => builder.addAll('Tile', [input(['batch', 3]), builder.constant(int64s([2, 3]))])],
  Resize: [
    (builder, input) => builder.addAll('Resize', [input(['batch', 1, 3, 'width']), undefined, builder.constant(floats([4], [1, 1, 2, 3]))]),
    (builder, input) => builder.addAll('Resize', [input([1, 1, 3, 9]), undefined, undefined, builder.constant(int64s([1, 1, 5, 4]))]),
  ],
  ReverseSequence: [
    (builder, input) =>
      builder.addAll('ReverseSequence', [input(['tokens', 'batch', 2]), builder.constant(int64s([1, 3]))], { time_axis: 0, batch_axis: 1 }),
  ],
  Trilu: [(builder, input) => builder.addAll('Trilu', [input(['tokens', 'tokens'])], { upper: 0 })],
  Gather: [
    (builder, input) => builder.addAll('Gather', [input([7, 3]), input(['batch', 'tokens'], 'INT64')]),
    (builder, input) => builder.addAll('Gather', [input(['batch', 4, 3]), builder.constant(int64(2))], { axis: 1 }),
  ],
  GatherElements: [(builder, input) => builder.addAll('GatherElements', [input(['batch', 3]), input(['batch', 1], 'INT64')], { axis: 1 })],
  GatherND: [
    (builder, input) => builder.addAll('GatherND', [input(['batch', 'tokens', 3]), input(['batch', 7, 1], 'INT64')], { batch_dims: 1 }),
    (builder, input) => builder.addAll('GatherND', [input([4, 5, 3]), input(['batch', 2], 'INT64')]),
  ],
  TopK: [
    (builder, input) => builder.addAll('TopK', [input(['batch', 'tokens']), builder.constant(int64s([3]))], { axis: 1, largest: 0 }),
    (builder, input) => builder.addAll('TopK', [input(['tokens', 'batch']), builder.add('Shape', [input(['tokens'])])], { axis: 0 }),
  ],
  ScatterND: [
    (builder, input) =>
      builder.addAll('ScatterND', [input([7, 3]), input(['batch', 1], 'INT64'), input(['batch', 3])], { reduction: 'add' }),
  ],
  ScatterElements: [
    (builder, input) =>
      builder.addAll('ScatterElements', [input(['batch', 3]), input(['batch', 1], 'INT64'), input(['batch', 1])], { axis: 1 }),
  ],
  OneHot: [
    (builder, input) =>
      builder.addAll('OneHot', [input(['batch', 3], 'INT64'), builder.constant(int64(4)), builder.constant(floats([2], [0, 1]))]),
    (builder, input) =>
      builder.addAll('OneHot', [input(['batch'], 'INT64'), builder.constant(int64(4)), builder.constant(floats([2], [0, 1]))], { axis: 0 }),
  ],
  Shape: [one('Shape', ['batch', 3, 4])],
  ConstantOfShape: [
    (builder) => builder.addAll('ConstantOfShape', [builder.constant(int64s([2, 3]))]),
    (builder, input) => builder.addAll('ConstantOfShape', [builder.add('Shape', [input(['batch', 'tokens'])])]),
  ],
  Range: [
    (builder) => builder.addAll('Range', [builder.constant(int64(2)), builder.constant(int64(9)), builder.constant(int64(3))]),
    (builder, input) => {
      const size = builder.add('Gather', [builder.add('Shape', [input(['tokens'])]), builder.constant(int64(0))]);
      return builder.addAll('Range', [builder.constant(int64(0)), size, builder.constant(int64(1))]);
    },
  ],
  RNN: [recurrent('RNN', 1, 'forward')],
  GRU: [recurrent('GRU', 3, 'reverse')],
  LSTM: [recurrent('LSTM', 4, 'forward'), recurrent('LSTM', 4, 'bidirectional')],
  Scan: [
    (builder, input) => {
      const [state, sequence] = [input(['batch', 2]), input(['tokens', 'batch', 3])];
      const body = builder.body([state, { dtype: 'FP32', shape: ['batch', 3] }], ([before, step]) => [
        builder.add('Neg', [before]),
        builder.add('Exp', [step]),
      ]);
      return builder.addAll('Scan', [state, sequence], { body, num_scan_inputs: 1 });
    },
  ],
};

/** Ones of the sizes that the symbols stand for; indexes stay small. */
function filled(dtype: Exclude<DType, 'BYTES'>, shape: Shape): Tensor {
  const sizes = shape.map(sizeOf);
  const data = new STORAGE[dtype](sizes.reduce((product, size) => product * size, 1));
  if (dtype === 'FP32') (data as Float32Array).fill(1);
  return { dtype, shape: sizes, data };
}

describe('the types that operators infer are those that ONNX Runtime gives', () => {
  it.each(Object.keys(OPERATORS) as OperatorName[])('%s', async (op) => {
    for (const make of CASES[op]) {
      const builder = createGraphBuilder();
      const feeds: Record<string, Tensor> = {};
      const outputs = make(builder, (shape, dtype = 'FP32') => {
        const name = `in${Object.keys(feeds).length}`;
        feeds[name] = filled(dtype as Exclude<DType, 'BYTES'>, shape);
        return builder.input(name, { dtype, shape });
      });
      const graph = builder.finish(
        op,
        outputs.map((value, index) => ({ name: `out${index}`, value })),
      );
      const results = await runGraph(graph, feeds);
      for (const [index, { dtype, shape }] of outputs.entries()) {
        const result = results.get(`out${index}`)!;
        expect({ dtype, shape: shape.map(sizeOf) }).toEqual({ dtype: result.dtype, shape: [...result.shape] });
      }
    }
  });
});

describe('operators refuse', () => {
  const refusal = (make: Make): string => {
    const builder = createGraphBuilder();
    let count = 0;
    try {
      make(builder, (shape, dtype = 'FP32') => builder.input(`in${(count += 1)}`, { dtype, shape }));
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing';
  };

  it.each<[string, Make, string]>([
    ['a window larger than its input', one('Conv', ['batch', 3, 4], [4, 3, 5]), 'a window of 5 along an axis of 4'],
    [
      'channels that do not fit',
      one('Conv', ['batch', 3, 9], [4, 2, 3]),
      'takes 2 channels in each of 1 groups, so 2 in all; the input has 3',
    ],
    ['a bias of another size', one('Conv', ['batch', 3, 9], [4, 3, 3], [5]), 'adds a bias of the shape [5] to 4 channels'],
    ['an input of another rank', one('Conv', ['batch', 3], [4, 3, 3]), 'needs an input of rank 3; "in1" has the shape [batch, 3]'],
    ['shapes that do not broadcast', one('Add', ['batch', 3], [4]), 'cannot broadcast the shapes [batch, 3] and [4]'],
    [
      'an uneven reshape',
      (b, input) => b.addAll('Reshape', [input(['batch', 5]), b.constant(int64s([-1, 2]))]),
      'cannot make [-1, 2] of [batch, 5]',
    ],
    [
      'a join of different sizes',
      (b, input) => b.addAll('Concat', [input([2, 3]), input([3, 3])], { axis: 1 }),
      'cannot join [2, 3] and [3, 3]',
    ],
    [
      'parts that do not add up',
      (b, input) => b.addAll('Split', [input([5]), b.constant(int64s([1, 5]))]),
      'cannot cut an axis of 5 into parts of 1, 5',
    ],
    [
      'an axis that is not there',
      (b, input) => b.addAll('Softmax', [input(['batch', 3])], { axis: 2 }),
      'has no axis 2 in a tensor of rank 2',
    ],
    [
      'a wrong order of axes',
      (b, input) => b.addAll('Transpose', [input([2, 3])], { perm: [0, 0] }),
      'cannot order the axes of [2, 3] by [0, 0]',
    ],
    ['a condition that is none', one('Where', [2], [2], [2]), 'takes its condition as BOOL; "in1" is FP32'],
    ['axes that are not known', (b, input) => b.addAll('ReduceSum', [input([2]), input([1], 'INT64')]), 'needs its axes to be known'],
    ['weights of another size', one('LSTM', ['tokens', 'batch', 3], [1, 16, 4], [1, 16, 4]), 'needs hidden_size'],
    ['a scale of another size', one('LayerNormalization', ['batch', 3], [4]), 'takes "in2" of the shape [4] for the axes [3]'],
  ])('%s', (_what, make, message) => {
    expect(refusal(make)).toContain(message);
  });
});
