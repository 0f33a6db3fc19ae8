import type { OperatorName } from '../../graph/operators/operators.ts';
import type { Derivative } from '../derivative.ts';
import { ARRANGEMENT_DERIVATIVES } from './arrangement.ts';
import { CONVOLUTION_DERIVATIVES } from './convolution.ts';
import { ELEMENTWISE_DERIVATIVES } from './elementwise.ts';
import { INDEXING_DERIVATIVES } from './indexing.ts';
import { MATRIX_DERIVATIVES } from './matrix.ts';
import { NORMALIZATION_DERIVATIVES } from './normalization.ts';
import { POOLING_DERIVATIVES } from './pooling.ts';
import { REDUCTION_DERIVATIVES } from './reduction.ts';
import { scan } from './scan.ts';

/** How a gradient goes back through each operator. */
export const DERIVATIVES: Readonly<Partial<Record<OperatorName, Derivative>>> = {
  ...ARRANGEMENT_DERIVATIVES,
  ...CONVOLUTION_DERIVATIVES,
  ...ELEMENTWISE_DERIVATIVES,
  ...INDEXING_DERIVATIVES,
  ...MATRIX_DERIVATIVES,
  ...NORMALIZATION_DERIVATIVES,
  ...POOLING_DERIVATIVES,
  ...REDUCTION_DERIVATIVES,
  Scan: scan,
};

/** Operators whose outputs do not change, or jump, when their inputs change a little: no gradient goes back. */
export const WITHOUT_GRADIENT: ReadonlySet<OperatorName> = new Set<OperatorName>([
  'And',
  'ArgMax',
  'ArgMin',
  'Ceil',
  'ConstantOfShape',
  'Equal',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Not',
  'OneHot',
  'Or',
  'RandomNormalLike',
  'RandomUniformLike',
  'Range',
  'Round',
  'Shape',
  'Sign',
]);
