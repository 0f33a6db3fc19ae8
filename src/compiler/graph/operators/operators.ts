import type { Operator } from '../operator.ts';
import { ARRANGEMENT, INDEXING } from './arrangement.ts';
import { CONVOLUTION } from './convolution.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { MATRIX } from './matrix.ts';
import { NORMALIZATION } from './normalization.ts';
import { RANDOM } from './random.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCTION } from './reduction.ts';

/**
 * Every operator that a graph may hold, as ONNX defines it at opset 18
 * (https://github.com/onnx/onnx/blob/main/docs/Operators.md).
 */
export const OPERATORS = {
  ...ARRANGEMENT,
  ...CONVOLUTION,
  ...ELEMENTWISE,
  ...INDEXING,
  ...MATRIX,
  ...NORMALIZATION,
  ...RANDOM,
  ...RECURRENT,
  ...REDUCTION,
} as const satisfies Readonly<Record<string, Operator>>;

export type OperatorName = keyof typeof OPERATORS;
