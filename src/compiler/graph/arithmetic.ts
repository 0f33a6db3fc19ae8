import type { GraphBuilder } from './builder.ts';
import type { Value } from './graph.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** A value of the graph, or a number, which becomes a scalar constant of the dtype. */
export type Operand = Value | number;

/** Operators on elements, written as formulas. */
export interface Arithmetic {
  /** A scalar. */
  constant(value: number): Value;
  add(left: Operand, right: Operand): Value;
  sub(left: Operand, right: Operand): Value;
  mul(left: Operand, right: Operand): Value;
  div(left: Operand, right: Operand): Value;
  pow(base: Operand, exponent: Operand): Value;
  max(left: Operand, right: Operand): Value;
  /** Where the condition holds the second operand, elsewhere the third. */
  where(condition: Value, then: Operand, otherwise: Operand): Value;
  greater(left: Operand, right: Operand): Value;
  equal(left: Operand, right: Operand): Value;
  neg(x: Value): Value;
  abs(x: Value): Value;
  sign(x: Value): Value;
  exp(x: Value): Value;
  log(x: Value): Value;
  sqrt(x: Value): Value;
  tanh(x: Value): Value;
  sigmoid(x: Value): Value;
}

function scalar(dtype: DType, value: number): Tensor {
  if (dtype === 'FP32') return { dtype, shape: [], data: Float32Array.of(value) };
  if (dtype === 'FP64') return { dtype, shape: [], data: Float64Array.of(value) };
  throw new Error(`There is no arithmetic of ${dtype} here.`);
}

/** @param dtype FP32 or FP64, that of the values. */
export function arithmeticOf(graph: GraphBuilder, dtype: DType): Arithmetic {
  const valueOf = (operand: Operand): Value => (typeof operand === 'number' ? graph.constant(scalar(dtype, operand)) : operand);
  const binary =
    (op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Greater' | 'Equal') =>
    (left: Operand, right: Operand): Value =>
      graph.add(op, [valueOf(left), valueOf(right)]);
  const unary =
    (op: 'Neg' | 'Abs' | 'Sign' | 'Exp' | 'Log' | 'Sqrt' | 'Tanh' | 'Sigmoid') =>
    (x: Value): Value =>
      graph.add(op, [x]);
  return {
    constant: valueOf,
    add: binary('Add'),
    sub: binary('Sub'),
    mul: binary('Mul'),
    div: binary('Div'),
    pow: binary('Pow'),
    max: binary('Max'),
    greater: binary('Greater'),
    equal: binary('Equal'),
    where: (condition, then, otherwise) => graph.add('Where', [condition, valueOf(then), valueOf(otherwise)]),
    neg: unary('Neg'),
    abs: unary('Abs'),
    sign: unary('Sign'),
    exp: unary('Exp'),
    log: unary('Log'),
    sqrt: unary('Sqrt'),
    tanh: unary('Tanh'),
    sigmoid: unary('Sigmoid'),
  };
}
