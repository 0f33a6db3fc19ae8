import { SlipwayError } from '../../errors/slipway-error.ts';

/** The error that model.onnx `problem`, e.g. 'has no graph'. */
export function invalidModel(problem: string, cause?: unknown): SlipwayError {
  return new SlipwayError('INVALID_MODEL', `model.onnx ${problem}.`, { cause });
}
