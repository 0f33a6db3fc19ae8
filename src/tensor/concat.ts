import { type NumericData, STORAGE } from './dtype.ts';
import { formatShape, tensorError } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * Puts tensors one behind the other along their first dimension.
 * @param tensors at least one, of one dtype and rank.
 * @param path where they stand in the request, for errors.
 * @throws SlipwayError INVALID_TENSOR when their other dimensions differ.
 */
export function concatTensors(tensors: readonly Tensor[], path: string): Tensor {
  const [first] = tensors;
  const { dtype, shape } = first!;
  const [, ...rest] = shape;
  let rows = 0;
  let length = 0;
  for (const [index, each] of tensors.entries()) {
    if (each.shape.length !== shape.length || rest.some((size, axis) => size !== each.shape[axis + 1])) {
      throw tensorError(`${path}[${index}]`, `has the shape ${formatShape(each.shape)} where the first has ${formatShape(shape)}`);
    }
    rows += each.shape[0]!;
    length += each.data.length;
  }
  if (dtype === 'BYTES') return { dtype, shape: [rows, ...rest], data: tensors.flatMap(({ data }) => data as readonly Uint8Array[]) };
  const data: NumericData = new STORAGE[dtype](length);
  let at = 0;
  for (const each of tensors) {
    // All of one dtype, so of one kind of array.
    data.set(each.data as never, at);
    at += each.data.length;
  }
  return { dtype, shape: [rows, ...rest], data };
}
