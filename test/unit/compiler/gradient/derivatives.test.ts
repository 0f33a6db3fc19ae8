import { describe, expect, it } from 'vitest';
import { addGradients } from '../../../../src/compiler/gradient/gradients.ts';
import { DERIVATIVES } from '../../../../src/compiler/gradient/derivatives/derivatives.ts';
import { createGraphBuilder, type GraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import type { Value } from '../../../../src/compiler/graph/graph.ts';
import type { OperatorName } from '../../../../src/compiler/graph/operators/operators.ts';
import { float, floats, int64s } from '../../../../src/compiler/graph/tensors.ts';
import { createRandom } from '../../../../src/datasets/random.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { openGraph, runGraph } from '../../../helpers/run-graph.ts';

/*
 * Each derivative is held to finite differences of its operator, both computed in ONNX Runtime: for every element of every
 * input (f(x + h) − f(x − h)) ÷ 2h, f being a random weighted sum of all outputs. In FP64 where ONNX Runtime has kernels.
 */

type Dtype = 'FP32' | 'FP64';

interface Case {
  readonly shapes: readonly (readonly number[])[];
  readonly make: (builder: GraphBuilder, inputs: readonly Value[]) => Value | readonly Value[];
  /** Values are positive. */
  readonly positive?: boolean;
  readonly dtype?: Dtype;
  /** Sizes that are symbols in the graph, in the shapes by these numbers. */
  readonly symbols?: Readonly<Record<number, string>>;
}

const SEEDS = [1, 2];
const STEP: Readonly<Record<Dtype, number>> = { FP64: 1e-5, FP32: 2e-2 };
const TOLERANCE: Readonly<Record<Dtype, number>> = { FP64: 1e-6, FP32: 4e-3 };

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function arrayOf(dtype: Dtype, length: number): Float32Array | Float64Array {
  return dtype === 'FP32' ? new Float32Array(length) : new Float64Array(length);
}

/** Numbers of which no two are nearer than two steps, and none is so near to 0 or another kink: in a random order. */
function distinct(
  random: () => number,
  dtype: Dtype,
  length: number,
  { positive, input }: { positive: boolean; input: number },
): Float32Array | Float64Array {
  const gap = 4 / Math.max(length, 20);
  const order = Array.from({ length }, (_value, index) => index).toSorted(() => random() - 0.5);
  const data = arrayOf(dtype, length);
  for (const [index, rank] of order.entries()) data[index] = (rank + 0.51 + 0.23 * input) * gap + (positive ? 0.4 : -(length * gap) / 2);
  return data;
}

async function check({ shapes, make, positive = false, dtype = 'FP64', symbols = {} }: Case, seed: number): Promise<void> {
  const random = createRandom(seed);
  const builder = createGraphBuilder();
  const inputs = shapes.map((shape, index) => builder.input(`x${index}`, { dtype, shape: shape.map((size) => symbols[size] ?? size) }));
  const made = make(builder, inputs);
  const outputs = Array.isArray(made) ? (made as readonly Value[]) : [made as Value];
  const seeds = new Map<Value, Value>();
  for (const [index, output] of outputs.entries()) seeds.set(output, builder.input(`seed${index}`, { dtype, shape: output.shape }));
  const gradients = addGradients(builder, seeds, inputs);
  const graph = builder.finish('test', [
    ...outputs.map((value, index) => ({ name: `y${index}`, value })),
    ...gradients.map((value, index) => ({ name: `g${index}`, value: value! })),
  ]);
  const session = await openGraph(graph);
  try {
    const values = shapes.map((shape, index) => distinct(random, dtype, sizeOf(shape), { positive, input: index }));
    const feeds: Record<string, Tensor> = {};
    for (const [index, shape] of shapes.entries()) feeds[`x${index}`] = { dtype, shape: [...shape], data: values[index]! };
    const bindings = new Map(Object.entries(symbols).map(([size, symbol]) => [symbol, Number(size)]));
    for (const [index, { shape }] of outputs.entries()) {
      const sizes = shape.map((size) => (typeof size === 'number' ? size : (bindings.get(size) ?? Number.NaN)));
      feeds[`seed${index}`] = { dtype, shape: sizes, data: arrayOf(dtype, sizeOf(sizes)).map(() => 2 * random() - 1) };
    }
    const weighted = async (): Promise<number> => {
      const results = await session.run(
        feeds,
        outputs.map((_value, index) => `y${index}`),
      );
      let sum = 0;
      for (const index of outputs.keys()) {
        const weights = feeds[`seed${index}`]!.data as Float64Array;
        for (const [at, value] of (results.get(`y${index}`)!.data as Float64Array).entries()) sum += weights[at]! * value;
      }
      return sum;
    };
    const results = await session.run(feeds);
    for (const [input, data] of values.entries()) {
      const gradient = results.get(`g${input}`)!;
      expect(gradient.shape).toEqual(shapes[input]);
      const expected = arrayOf('FP64', data.length);
      for (const [at, value] of data.entries()) {
        data[at] = value + STEP[dtype];
        const above = { x: data[at], y: await weighted() };
        data[at] = value - STEP[dtype];
        const below = { x: data[at], y: await weighted() };
        data[at] = value;
        expected[at] = (above.y - below.y) / (above.x - below.x);
      }
      const scale = Math.max(1, ...expected.map(Math.abs));
      for (const [at, value] of (gradient.data as Float64Array).entries())
        expect(Math.abs(value - expected[at]!) / scale, `input ${input}, element ${at}: ${value}, not ${expected[at]}`).toBeLessThan(
          TOLERANCE[dtype],
        );
    }
  } finally {
    await session.close();
  }
}

const plain =
  (op: OperatorName, attributes: object = {}) =>
  (builder: GraphBuilder, inputs: readonly Value[]): readonly Value[] => [builder.addAll(op, inputs, attributes)[0]!];
const one = (op: OperatorName, shape: readonly number[], attributes: object = {}, dtype: Dtype = 'FP64'): Case => ({
  shapes: [shape],
  make: plain(op, attributes),
  dtype,
});
const of = (op: OperatorName, shapes: readonly (readonly number[])[], attributes: object = {}, dtype: Dtype = 'FP64'): Case => ({
  shapes,
  make: plain(op, attributes),
  dtype,
});
const ints = (builder: GraphBuilder, ...numbers: number[]): Value => builder.constant(int64s(numbers));
const withInts = (op: OperatorName, shape: readonly number[], lists: readonly (readonly number[])[], attributes: object = {}): Case => ({
  shapes: [shape],
  make: (builder, [x]) => builder.add(op, [x, ...lists.map((list) => ints(builder, ...list))], attributes),
});
const broadcasts = (op: OperatorName, positive = false): Case[] => [
  {
    shapes: [
      [2, 3],
      [2, 3],
    ],
    make: plain(op),
    positive,
  },
  {
    shapes: [
      [2, 1, 3],
      [4, 1],
    ],
    make: plain(op),
    positive,
  },
  { shapes: [[], [2, 3]], make: plain(op), positive },
  { shapes: [[5, 3], [3]], make: plain(op), positive, symbols: { 5: 'batch' } },
];
const unary = (names: string, positive: boolean, dtype: Dtype): Record<string, Case[]> =>
  Object.fromEntries(names.split(' ').map((op) => [op, [{ ...one(op as OperatorName, [3, 4], {}, dtype), positive }]]));
const reductions = (op: OperatorName, positive = false): Case[] => [
  { ...withInts(op, [2, 3, 4], [[1]], { keepdims: 0 }), positive },
  { ...withInts(op, [2, 3, 4], [[-1, 0]]), positive },
  { ...one(op, [2, 3]), positive },
  { ...withInts(op, [5, 3], [[1]], { keepdims: 0 }), positive, symbols: { 5: 'batch' } },
];

const CASES: Readonly<Partial<Record<OperatorName, readonly Case[]>>> = {
  ...unary('Abs Exp Identity Neg Reciprocal Relu Sigmoid Sin Softmax LogSoftmax Tanh Cos', false, 'FP64'),
  ...unary('Elu Erf HardSigmoid HardSwish LeakyRelu Mish Selu Softplus Softsign ThresholdedRelu', false, 'FP32'),
  ...unary('Log Sqrt', true, 'FP64'),
  Add: broadcasts('Add'),
  Sub: broadcasts('Sub'),
  Mul: broadcasts('Mul'),
  Div: broadcasts('Div', true),
  Pow: [
    ...broadcasts('Pow', true),
    { shapes: [[2, 3]], make: (b, [x]) => b.add('Pow', [x, b.constant({ dtype: 'FP64', shape: [], data: Float64Array.of(3) })]) },
  ],
  Sum: [of('Sum', [[2, 3], [3], [2, 1]])],
  Max: [of('Max', [[2, 3], [3]])],
  Min: [
    of('Min', [
      [2, 3],
      [2, 1],
    ]),
  ],
  Where: [{ shapes: [[2, 3], [3]], make: (b, [x, y]) => b.add('Where', [b.add('Greater', [x, y]), x, y]) }],
  Clip: [{ shapes: [[3, 4]], dtype: 'FP32', make: (b, [x]) => b.add('Clip', [x, b.constant(float(-0.55)), b.constant(float(0.45))]) }],
  Cast: [{ shapes: [[2, 3]], dtype: 'FP32', make: (b, [x]) => b.add('Cast', [x], { to: 'FP32' }) }],
  Dropout: [{ shapes: [[3, 4]], dtype: 'FP32', make: (b, [x]) => b.add('Dropout', [x, b.constant(float(0.25))]) }],
  PRelu: [
    of(
      'PRelu',
      [
        [2, 3, 4],
        [3, 1],
      ],
      {},
      'FP32',
    ),
  ],
  Softmax: [one('Softmax', [3, 4]), one('Softmax', [2, 3, 4], { axis: 1 })],
  LogSoftmax: [one('LogSoftmax', [3, 4]), one('LogSoftmax', [2, 3, 4], { axis: 1 })],

  MatMul: [
    of('MatMul', [
      [2, 3],
      [3, 4],
    ]),
    of('MatMul', [
      [2, 3, 4],
      [4, 2],
    ]),
    of('MatMul', [
      [2, 1, 3, 4],
      [3, 4, 2],
    ]),
    of('MatMul', [[3], [3]]),
    of('MatMul', [[2, 3], [3]]),
    of('MatMul', [[3], [2, 3, 4]]),
    {
      ...of('MatMul', [
        [5, 2, 3],
        [3, 4],
      ]),
      symbols: { 5: 'batch' },
    },
  ],
  Gemm: [0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      of('Gemm', [transA === 0 ? [2, 3] : [3, 2], transB === 0 ? [3, 4] : [4, 3], [4]], { transA, transB, alpha: 0.5, beta: 2 }),
    ),
  ),
  Einsum: [
    of(
      'Einsum',
      [
        [2, 3, 4],
        [4, 2, 3],
      ],
      { equation: 'abc,cde->abde' },
    ),
    of(
      'Einsum',
      [
        [2, 3, 4],
        [2, 5, 4],
      ],
      { equation: 'bqd, bkd -> bqk' },
    ),
    one('Einsum', [2, 3], { equation: 'ab->ba' }),
  ],

  Conv: [
    of('Conv', [[2, 2, 5, 4], [3, 2, 3, 2], [3]], {}, 'FP32'),
    of(
      'Conv',
      [
        [2, 2, 6, 7],
        [2, 2, 3, 2],
      ],
      { strides: [2, 3], pads: [1, 0, 2, 1] },
      'FP32',
    ),
    of(
      'Conv',
      [
        [2, 2, 8],
        [2, 2, 3],
      ],
      { dilations: [2], strides: [2], pads: [1, 1] },
      'FP32',
    ),
    of('Conv', [[2, 4, 5, 5], [6, 2, 3, 3], [6]], { group: 2, strides: [2, 2], pads: [1, 1, 1, 1] }, 'FP32'),
    of(
      'Conv',
      [
        [2, 3, 4, 4],
        [6, 1, 2, 2],
      ],
      { group: 3 },
      'FP32',
    ),
    of(
      'Conv',
      [
        [2, 2, 7],
        [3, 2, 3],
      ],
      { auto_pad: 'SAME_UPPER', strides: [2] },
      'FP32',
    ),
    { ...of('Conv', [[7, 2, 5], [3, 2, 3], [3]], { pads: [1, 1] }, 'FP32'), symbols: { 7: 'batch' } },
  ],
  ConvTranspose: [
    of('ConvTranspose', [[2, 2, 3, 4], [2, 3, 2, 3], [3]], { strides: [2, 1], pads: [0, 1, 1, 0], output_padding: [1, 0] }, 'FP32'),
    of('ConvTranspose', [[2, 4, 3], [4, 2, 3], [4]], { group: 2 }, 'FP32'),
  ],
  MaxPool: [
    one('MaxPool', [2, 2, 4, 6], { kernel_shape: [2, 3], strides: [2, 3] }, 'FP32'),
    one('MaxPool', [1, 2, 5, 6], { kernel_shape: [3, 2], strides: [1, 2], pads: [1, 0, 1, 0] }, 'FP32'),
    one('MaxPool', [2, 2, 9], { kernel_shape: [2], strides: [2] }, 'FP32'),
    { ...one('MaxPool', [7, 2, 4], { kernel_shape: [2], strides: [2] }, 'FP32'), symbols: { 7: 'batch' } },
  ],
  AveragePool: [
    one('AveragePool', [2, 2, 4, 6], { kernel_shape: [2, 3], strides: [2, 3] }, 'FP32'),
    one('AveragePool', [2, 2, 5, 6], { kernel_shape: [3, 2], strides: [1, 2], pads: [1, 0, 1, 0] }, 'FP32'),
    one('AveragePool', [2, 2, 7], { kernel_shape: [3], strides: [2], pads: [1, 1], count_include_pad: 1 }, 'FP32'),
    one('AveragePool', [2, 2, 8], { kernel_shape: [3], strides: [2], auto_pad: 'SAME_UPPER' }, 'FP32'),
  ],
  GlobalAveragePool: [one('GlobalAveragePool', [2, 3, 4, 2], {}, 'FP32')],
  GlobalMaxPool: [one('GlobalMaxPool', [2, 3, 4], {}, 'FP32')],
  BatchNormalization: [
    {
      shapes: [[4, 3, 2], [3], [3]],
      dtype: 'FP32',
      make: (b, [x, scale, offset]) =>
        b.add('BatchNormalization', [x, scale, offset, b.constant(floats([3], [0.1, 0.2, 0.3])), b.constant(floats([3], [1, 2, 0.5]))]),
    },
  ],
  LayerNormalization: [
    of('LayerNormalization', [[3, 2, 4], [4], [4]], {}, 'FP32'),
    of(
      'LayerNormalization',
      [
        [2, 3, 2],
        [3, 2],
        [3, 2],
      ],
      { axis: 1, epsilon: 1e-3 },
      'FP32',
    ),
  ],
  ReduceSum: reductions('ReduceSum'),
  ReduceMean: [...reductions('ReduceMean'), { ...one('ReduceMean', [5, 3]), symbols: { 5: 'batch' } }],
  ReduceMax: reductions('ReduceMax'),
  ReduceMin: reductions('ReduceMin'),
  ReduceProd: reductions('ReduceProd', true).map((each) => ({ ...each, dtype: 'FP32' as const })),
  ReduceL2: reductions('ReduceL2', true),
  ReduceSumSquare: reductions('ReduceSumSquare'),
  CumSum: [
    { shapes: [[2, 4]], make: (b, [x]) => b.add('CumSum', [x, ints(b, 1)], { exclusive: 1 }) },
    { shapes: [[4, 2]], make: (b, [x]) => b.add('CumSum', [x, ints(b, 0)], { reverse: 1 }) },
  ],

  Reshape: [withInts('Reshape', [2, 3, 4], [[4, -1]]), { ...withInts('Reshape', [5, 3, 4], [[0, -1]]), symbols: { 5: 'batch' } }],
  Squeeze: [withInts('Squeeze', [2, 1, 3], [[1]])],
  Unsqueeze: [withInts('Unsqueeze', [2, 3], [[0, -1]])],
  Transpose: [one('Transpose', [2, 3, 4], { perm: [2, 0, 1] }), one('Transpose', [2, 3, 4])],
  Concat: [
    of(
      'Concat',
      [
        [2, 3],
        [2, 1],
      ],
      { axis: -1 },
    ),
    // Parts of the same open size.
    {
      shapes: [
        [5, 2],
        [5, 2],
      ],
      symbols: { 5: 'batch' },
      make: (b, parts) => b.add('Reshape', [b.add('Concat', parts, { axis: 0 }), b.constant(int64s([2, -1, 2]))]),
    },
  ],
  Split: [
    { shapes: [[2, 6]], make: (b, [x]) => b.addAll('Split', [x, ints(b, 1, 5)], { axis: 1 }) },
    { shapes: [[6, 2]], make: (b, [x]) => b.addAll('Split', [x], { axis: 0, num_outputs: 3 })[1]! },
  ],
  Slice: [
    withInts(
      'Slice',
      [4, 6],
      [
        [1, -4],
        [3, -1],
        [0, 1],
      ],
    ),
    withInts('Slice', [2, 9], [[8], [0], [1], [-2]]),
    withInts('Slice', [2, 9], [[1], [100], [1], [3]]),
    { ...withInts('Slice', [5, 2], [[-1], [-(2 ** 40)], [0], [-1]]), symbols: { 5: 'tokens' } },
  ],
  Pad: [withInts('Pad', [2, 3], [[1, 0, 0, 2]])],
  Expand: [withInts('Expand', [3, 1], [[2, 3, 4]])],
  Tile: [withInts('Tile', [2, 3], [[2, 3]])],
  Resize: [
    {
      shapes: [[1, 2, 2, 3]],
      dtype: 'FP32',
      make: (b, [x]) =>
        b.add('Resize', [x, undefined, b.constant(floats([4], [1, 1, 3, 2]))], {
          mode: 'nearest',
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode: 'floor',
        }),
    },
  ],
  ReverseSequence: [withInts('ReverseSequence', [4, 2, 2], [[3, 2]], { time_axis: 0, batch_axis: 1 })],
  Trilu: [one('Trilu', [3, 4], { upper: 0 })],
  Gather: [
    withInts('Gather', [4, 3], [[2, 0, 2]]),
    withInts('Gather', [2, 4, 3], [[1, 1, -1]], { axis: 1 }),
    // A table of many rows takes another way.
    withInts('Gather', [70, 2], [[69, 3, 3, -1]]),
    {
      shapes: [[3, 2]],
      make: (b, [x]) => b.add('Gather', [x, b.constant({ dtype: 'INT32', shape: [2, 2], data: Int32Array.of(2, 0, 0, 1) })]),
    },
    {
      shapes: [[4, 3]],
      make: (b, [x]) => b.add('Gather', [x, b.constant({ dtype: 'INT64', shape: [2, 2], data: BigInt64Array.of(3n, 1n, 1n, 0n) })]),
    },
    {
      shapes: [[2, 4, 3]],
      make: (b, [x]) => b.add('Gather', [x, b.constant({ dtype: 'INT64', shape: [], data: BigInt64Array.of(2n) })], { axis: 1 }),
    },
  ],
  GatherElements: [
    {
      shapes: [[2, 3]],
      make: (b, [x]) =>
        b.add('GatherElements', [x, b.constant({ dtype: 'INT64', shape: [2, 2], data: BigInt64Array.of(2n, 2n, 0n, 1n) })], { axis: 1 }),
    },
  ],
  Scan: [
    // A state and two outputs; a matrix that all steps multiply by, and a row that is added at each.
    scanCase({ directions: [0, 0] }),
    scanCase({ directions: [1, 1] }),
    scanCase({ directions: [1, 0], symbols: { 3: 'batch' } }),
    scanCase({ directions: [0, 1], symbols: { 3: 'batch', 4: 'time' } }),
    // Two states of which one goes by unchanged and the other is multiplied up; no output but the last ones.
    {
      shapes: [[2], [2], [3, 2]],
      make(b, [kept, product, factors]) {
        const element = { dtype: 'FP64', shape: [2] } as const;
        const body = b.body([element, element, element], ([one, two, factor]) => [one!, b.add('Mul', [b.add('Mul', [two, factor]), one])]);
        return b.addAll('Scan', [kept, product, factors], { body, num_scan_inputs: 1 });
      },
    },
  ],
};

interface ScanSetting {
  /** Of the sequence that goes in, and of those that come out. */
  readonly directions: readonly [number, number];
  readonly symbols?: Readonly<Record<number, string>>;
}

/** A recurrent cell over 4 steps of 3 rows: state [3, 2], sequence [4, 3, 5], weights [2, 2] and [5, 2], a row [2]. */
function scanCase({ directions: [taken, given], symbols = {} }: ScanSetting): Case {
  return {
    shapes: [[3, 2], [4, 3, 5], [2, 2], [5, 2], [2]],
    symbols,
    make(b, [first, sequence, recurrent, kernel, row]) {
      const body = b.body([first!, { ...sequence!, shape: sequence!.shape.slice(1) }], ([state, x]) => {
        const next = b.add('Tanh', [b.add('Gemm', [state, recurrent, b.add('Gemm', [x, kernel, row])])]);
        return [next, next, b.add('Mul', [next, state])];
      });
      return b.addAll('Scan', [first, sequence], {
        body,
        num_scan_inputs: 1,
        scan_input_directions: [taken],
        scan_output_directions: [given, given],
      });
    },
  };
}

describe('derivatives are those of finite differences', () => {
  it.each(Object.keys(DERIVATIVES) as OperatorName[])('%s', async (op) => {
    const cases = CASES[op] ?? [];
    expect(cases.length).toBeGreaterThan(0);
    for (const each of cases) for (const seed of SEEDS) await check(each, seed);
  });
});

it('Scan gives its sequences in their length, and refuses a Scan inside of it', () => {
  const element = { dtype: 'FP32', shape: [2] } as const;
  const builder = createGraphBuilder();
  const [state, sequence] = [builder.input('state', element), builder.input('sequence', { dtype: 'FP32', shape: [5, 2] })];
  const body = builder.body([element, element], ([before, x]) => [builder.add('Mul', [before, builder.add('Tanh', [x])])]);
  const last = builder.add('Scan', [state, sequence], { body, num_scan_inputs: 1 });
  expect(builder.alsoGive(last, [body.nodes[0]!.outputs[0]!]).map(({ shape }) => shape)).toEqual([[5, 2]]);

  const outer = builder.body([element, { dtype: 'FP32', shape: [5, 2] }], ([before, steps]) => [
    builder.add('Scan', [before, steps], { body, num_scan_inputs: 1 }),
  ]);
  const nested = builder.add('Scan', [state, builder.input('sequences', { dtype: 'FP32', shape: [3, 5, 2] })], {
    body: outer,
    num_scan_inputs: 1,
  });
  expect(() => addGradients(builder, new Map([[nested, state]]), [state])).toThrow(
    /the gradient of the operator Scan is not known for one inside of another one/i,
  );
});

it('Dropout in training lets the gradient through where it let the value through, scaled alike', async () => {
  const builder = createGraphBuilder();
  const x = builder.input('x', { dtype: 'FP32', shape: [4, 50] });
  const training = builder.constant({ dtype: 'BOOL', shape: [], data: Uint8Array.of(1) });
  const y = builder.add('Dropout', [x, builder.constant(float(0.25)), training]);
  const [gradient] = addGradients(builder, new Map([[y, builder.constant(floats([4, 50], Array(200).fill(1)))]]), [x]);
  const results = await runGraph(
    builder.finish('test', [
      { name: 'y', value: y },
      { name: 'g', value: gradient! },
    ]),
    { x: floats([4, 50], Array(200).fill(1)) },
  );
  const kept = [...(results.get('y')!.data as Float32Array)];
  expect(new Set(kept.map((value) => value.toFixed(4)))).toEqual(new Set(['0.0000', '1.3333']));
  expect([...(results.get('g')!.data as Float32Array)]).toEqual(kept);
});
