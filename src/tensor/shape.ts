import { SlipwayError } from '../errors/slipway-error.ts';

/** A shape as users read it: `[-1, 28, 28]`; any rank is `[...]`. */
export function formatShape(shape: readonly number[] | null): string {
  return shape === null ? '[...]' : `[${shape.join(', ')}]`;
}

/** A tensor error at one place of the request. */
export function tensorError(path: string, message: string): SlipwayError {
  return new SlipwayError('INVALID_TENSOR', `${path}: ${message}.`, { details: [{ path, message }] });
}

/**
 * The number of elements of a shape; 1 for a scalar.
 * @param path where the shape stands in the request, for the error.
 * @throws SlipwayError INVALID_TENSOR for a dimension that is no whole number ≥ 0, or a product over 2^53 − 1.
 */
export function elementCount(shape: readonly number[], path: string): number {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw tensorError(path, `the shape ${formatShape(shape)} has the dimension ${size}; each must be a whole number, 0 or more`);
    }
    count *= size;
  }
  if (!Number.isSafeInteger(count)) throw tensorError(path, `the shape ${formatShape(shape)} has more elements than can be counted`);
  return count;
}

/** The path of an element by its row-major index: `inputs[0][3]`. */
export function elementPath(path: string, shape: readonly number[], index: number): string {
  let rest = index;
  let indexes = '';
  for (const size of shape.toReversed()) {
    indexes = `[${rest % size}]${indexes}`;
    rest = Math.floor(rest / size);
  }
  return path + indexes;
}
