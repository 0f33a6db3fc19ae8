import { describe, expect, it } from 'vitest';
import { createGraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import { BATCH } from '../../../../src/compiler/graph/dimension.ts';
import { float, floats, int64s } from '../../../../src/compiler/graph/tensors.ts';
import { runGraph } from '../../../helpers/run-graph.ts';
import { fp32 } from '../../../helpers/tensors.ts';

describe('the graph builder', () => {
  it('makes a graph that ONNX Runtime runs', async () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [BATCH, 2] });
    const w = builder.initializer('dense/kernel', floats([2, 3], [1, 2, 3, 4, 5, 6]));
    const y = builder.inLayer('dense', () => builder.add('MatMul', [x, w]));
    expect(y).toMatchObject({ name: 'dense/MatMul', dtype: 'FP32', shape: ['batch', 3] });
    const graph = builder.finish('model', [{ name: 'y', value: builder.add('Relu', [y]) }]);
    expect(await runGraph(graph, { x: fp32([1, 1, 0, -1], [2, 2]) })).toEqual(new Map([['y', fp32([5, 7, 9, 0, 0, 0], [2, 3])]]));
  });

  it('names the layer and the operator when shapes do not fit', () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [BATCH, 2] });
    const w = builder.initializer('w', floats([4, 3], Array(12).fill(0)));
    expect(() => builder.inLayer('block', () => builder.inLayer('dense', () => builder.add('MatMul', [x, w])))).toThrowError(
      expect.objectContaining({
        code: 'COMPILE_FAILED',
        message: 'The layer "block/dense": the operator MatMul cannot multiply [batch, 2] by [4, 3].',
      }),
    );
    // The failed layer is left behind.
    expect(builder.add('Relu', [x]).name).toBe('Relu');
  });

  it('refuses inputs of two dtypes, missing inputs, too many inputs and unknown attributes', () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [2] });
    const i = builder.input('i', { dtype: 'INT64', shape: [2] });
    expect(() => builder.add('Add', [x, i])).toThrowError('The operator Add takes "i" as INT64 beside "x", which is FP32.');
    expect(() => builder.add('Add', [x, undefined])).toThrowError('needs an input at position 1');
    expect(() => builder.add('Relu', [x, x])).toThrowError('The operator Relu takes 1 inputs, not 2.');
    expect(() => builder.add('Relu', [x], { alpha: 1 })).toThrowError('has no attribute alpha');
  });

  it('gives every value and node a name of its own', () => {
    const builder = createGraphBuilder();
    const x = builder.input('Relu', { dtype: 'FP32', shape: [2] });
    expect(builder.add('Relu', [x]).name).toBe('Relu_1');
    expect(builder.add('Relu', [x]).name).toBe('Relu_2');
    expect(() => builder.input('Relu', x)).toThrowError('two inputs or weights of the name "Relu"');
  });

  it('keeps one constant for one content', () => {
    const builder = createGraphBuilder();
    expect(builder.constant(int64s([1, 2]))).toBe(builder.constant(int64s([1, 2])));
    expect(builder.constant(int64s([1, 2]))).not.toBe(builder.constant(int64s([2, 1])));
    expect(builder.constant(float(1))).not.toBe(builder.constant(floats([1], [1])));
  });

  it('leaves out what no output needs', () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [2, 2] });
    const spare = builder.input('spare', { dtype: 'FP32', shape: [2] });
    builder.add('Add', [builder.add('Exp', [x]), builder.initializer('unused', float(1))]);
    const [y] = builder.addAll('Dropout', [x]);
    const graph = builder.finish('model', [{ name: 'y', value: y! }]);
    expect(graph.nodes.map(({ op, outputs }) => [op, outputs.length])).toEqual([['Dropout', 1]]);
    expect(graph.inputs).toEqual([x, spare]);
    expect([...graph.initializers]).toEqual([]);
  });

  it('gives an output that is an input, a weight or another output a node of its own', async () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [1] });
    const y = builder.add('Neg', [x]);
    const w = builder.initializer('w', floats([1], [7]));
    const outputs = { x2: x, y1: y, y2: y, w1: w };
    const graph = builder.finish(
      'model',
      Object.entries(outputs).map(([name, value]) => ({ name, value })),
    );
    const results = await runGraph(graph, { x: fp32([3]) });
    expect([...results].map(([name, { data }]) => [name, ...(data as Float32Array)])).toEqual([
      ['x2', 3],
      ['y1', -3],
      ['y2', -3],
      ['w1', 7],
    ]);
  });

  it('turns a weight into an input, and an output takes the name that is asked for', async () => {
    const builder = createGraphBuilder();
    const w = builder.initializer('w', floats([2], [1, 2]));
    const next = builder.add('Sub', [w, builder.constant(float(1))]);
    expect(builder.makeInput(w)).toEqual(floats([2], [1, 2]));
    const graph = builder.finish('step', [{ name: 'next/w', value: next }]);
    expect(graph.inputs).toEqual([w]);
    expect(await runGraph(graph, { w: fp32([5, 6]) })).toEqual(new Map([['next/w', fp32([4, 5])]]));
  });

  it('lets the names of outputs go first', async () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [1] });
    const hidden = builder.inLayer('dense', () => builder.add('Neg', [x]));
    const graph = builder.finish('model', [{ name: 'dense/Neg', value: builder.add('Exp', [hidden]) }]);
    const results = await runGraph(graph, { x: fp32([0]) });
    expect(results.get('dense/Neg')).toEqual(fp32([1]));
  });

  it('makes bodies that see what is around them', async () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: ['tokens', 2] });
    const first = builder.input('first', { dtype: 'FP32', shape: [2] });
    const factor = builder.add('Exp', [builder.constant(float(0))]);
    const body = builder.body([first, { dtype: 'FP32', shape: [2] }], ([state, step]) => {
      const next = builder.add('Add', [state, builder.add('Mul', [step, factor])]);
      builder.add('Log', [next]);
      return [next, next];
    });
    const [last, all] = builder.addAll('Scan', [first, x], { body, num_scan_inputs: 1 });
    expect(all!.shape).toEqual(['tokens', 2]);
    const graph = builder.finish('model', [
      { name: 'last', value: last! },
      { name: 'all', value: all! },
    ]);
    const results = await runGraph(graph, { x: fp32([1, 2, 3, 4], [2, 2]), first: fp32([10, 20]) });
    expect(results.get('last')).toEqual(fp32([14, 26]));
    expect(results.get('all')).toEqual(fp32([11, 22, 14, 26], [2, 2]));
  });

  it('follows sizes that are computed from shapes', async () => {
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: ['batch', 'tokens', 2] });
    const sizes = builder.add('Shape', [x]);
    const tokens = builder.add('Gather', [sizes, builder.constant(int64s([1]))]);
    const wanted = builder.add('Concat', [tokens, builder.constant(int64s([-1]))], { axis: 0 });
    const y = builder.add('Reshape', [x, wanted]);
    expect(y.shape).toEqual(['tokens', '2*batch']);
    const graph = builder.finish('model', [{ name: 'y', value: y }]);
    const result = await runGraph(graph, { x: fp32(Array(12).fill(0), [2, 3, 2]) });
    expect(result.get('y')!.shape).toEqual([3, 4]);
  });
});
