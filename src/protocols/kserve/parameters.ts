import { invalidRequest } from '../../errors/invalid-request.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';

/*
 * Parameters of a V2 request as either wire gives them: JSON values, or what a gRPC `InferParameter` holds, with 64-bit
 * integers as bigints where a double does not hold them.
 */
export type Parameters = Readonly<Record<string, unknown>>;

function own(parameters: Parameters, name: string): unknown {
  return Object.hasOwn(parameters, name) ? parameters[name] : undefined;
}

/**
 * A parameter that counts something: a whole number of at least 0, or undefined when it is not there.
 * @param path of the parameters, for the error.
 * @throws SlipwayError INVALID_REQUEST
 */
export function countParameter(parameters: Parameters, name: string, path: string): number | undefined {
  const value = own(parameters, name);
  if (value === undefined || value === null) return undefined;
  // A count beyond 2^53 is as good as that.
  if (typeof value === 'bigint' && value >= 0n) return Number.MAX_SAFE_INTEGER;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw invalidRequest(`${path}.${name}`, 'must be a whole number, 0 or more');
}

/** A parameter that is true or false, or undefined when it is not there. @throws SlipwayError INVALID_REQUEST */
export function flagParameter(parameters: Parameters, name: string, path: string): boolean | undefined {
  const value = own(parameters, name);
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  throw invalidRequest(`${path}.${name}`, 'must be true or false');
}

/** @throws SlipwayError NOT_SUPPORTED for a tensor that lies in shared memory. */
export function refuseSharedMemory(parameters: Parameters, path: string): void {
  if (own(parameters, 'shared_memory_region') === undefined) return;
  throw new SlipwayError('NOT_SUPPORTED', `${path}: shared memory is not supported; send the tensor with the request.`);
}
