import { type DType, DTYPES } from './tensor.ts';

/** The models that the suite asks for, as in test/fixtures/models. */
const ARITHMETIC_MODELS = ['times-three', 'multi', 'scalar', 'fixed', 'state'] as const;

/** A model of the dtype that gives back what it gets, in any shape: `x` as `y`. */
export function echoModel(dtype: DType): string {
  return `echo-${dtype.toLowerCase()}`;
}

/** It can't be loaded. */
export const BROKEN_MODEL = 'broken-onnx';

export const CONFORMANCE_MODELS: readonly string[] = [...ARITHMETIC_MODELS, ...DTYPES.map(echoModel), BROKEN_MODEL];
