import { SlipwayError } from './slipway-error.ts';

/** What is wrong at one place of a request. @param problem goes behind the place: `must be an array of tensors`. */
export function invalidRequest(path: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path}: ${problem}.`, { details: [{ path, message: problem }] });
}
