import type { GraphBuilder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { int64s } from '../../graph/tensors.ts';
import { type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { reshapeLike } from '../shapes.ts';

function unsqueeze(graph: GraphBuilder, value: Value, axis: number): Value {
  return graph.add('Unsqueeze', [value, graph.constant(int64s([axis]))]);
}

/** Matrices with their last two axes exchanged. */
function transposed(graph: GraphBuilder, value: Value): Value {
  const axes = [...value.shape.keys()];
  const last = axes.length - 1;
  return graph.add('Transpose', [value], { perm: [...axes.slice(0, -2), last, last - 1] });
}

function rowsOf(graph: GraphBuilder, value: Value): Value {
  return graph.add('Reshape', [value, graph.constant(int64s([-1, value.shape.at(-1) as number]))]);
}

function matMul({ graph, gradient, input }: DerivativeCall): Value[] {
  const [left, right] = [input(0), input(1)];
  if (left.shape.length > 2 && right.shape.length === 2 && [left, right].every(({ shape }) => typeof shape.at(-1) === 'number')) {
    // All matrices on the left meet the same one: one large product instead of many whose results are summed.
    const flat = rowsOf(graph, gradient);
    const toLeft = graph.add('Gemm', [flat, right], { transB: 1 });
    return [reshapeLike(graph, toLeft, left), graph.add('Gemm', [rowsOf(graph, left), flat], { transA: 1 })];
  }
  // A vector counts as a matrix of one row on the left and of one column on the right.
  const rows = left.shape.length === 1 ? unsqueeze(graph, left, 0) : left;
  const columns = right.shape.length === 1 ? unsqueeze(graph, right, 1) : right;
  let full = gradient;
  if (right.shape.length === 1) full = unsqueeze(graph, full, -1);
  if (left.shape.length === 1) full = unsqueeze(graph, full, -2);
  const toRows = graph.add('MatMul', [full, transposed(graph, columns)]);
  const toColumns = graph.add('MatMul', [transposed(graph, rows), full]);
  const squeeze = (value: Value, axis: number): Value => graph.add('Squeeze', [value, graph.constant(int64s([axis]))]);
  return [left.shape.length === 1 ? squeeze(toRows, -2) : toRows, right.shape.length === 1 ? squeeze(toColumns, -1) : toColumns];
}

function gemm(call: DerivativeCall): (Value | undefined)[] {
  const { graph, gradient, math, input, inputs } = call;
  const [left, right] = [input(0), input(1)];
  const alpha = numberOf(call, 'alpha', 1);
  const beta = numberOf(call, 'beta', 1);
  const [transA, transB] = [numberOf(call, 'transA', 0), numberOf(call, 'transB', 0)];
  const toLeft =
    transA === 0
      ? graph.add('Gemm', [gradient, right], { alpha, transB: 1 - transB })
      : graph.add('Gemm', [right, gradient], { alpha, transA: transB, transB: 1 });
  const toRight =
    transB === 0
      ? graph.add('Gemm', [left, gradient], { alpha, transA: 1 - transA })
      : graph.add('Gemm', [gradient, left], { alpha, transA: 1, transB: transA });
  if (inputs[2] === undefined) return [toLeft, toRight];
  return [toLeft, toRight, beta === 1 ? gradient : math.mul(gradient, beta)];
}

/** The other input and the gradient in the same kind of product, if every axis of this input is in one of them. */
function einsum(call: DerivativeCall): Value[] {
  const { graph, gradient, inputs } = call;
  const [terms, result] = (call.attributes['equation'] as string).replaceAll(' ', '').split('->') as [string, string];
  const names = terms.split(',');
  return names.map((own, index) => {
    const others = names.flatMap((name, at) => (at === index ? [] : [{ name, value: inputs[at]! }]));
    const there = new Set([result, ...others.map(({ name }) => name)].join(''));
    if (own.split('').some((letter) => !there.has(letter)) || new Set(own).size !== own.length)
      return call.fail(`is not known for the term "${own}" of "${terms}->${result}"`);
    const equation = `${[result, ...others.map(({ name }) => name)].join(',')}->${own}`;
    return graph.add('Einsum', [gradient, ...others.map(({ value }) => value)], { equation });
  });
}

export const MATRIX_DERIVATIVES = {
  MatMul: matMul,
  Gemm: gemm,
  Einsum: einsum,
} as const satisfies Partial<Record<OperatorName, Derivative>>;
