import type { NumericData } from './dtype.ts';
import type { Tensor } from './tensor.ts';

/** Rows `from` to before `to` of a tensor that has a first dimension, as a view of it. */
export function sliceRows({ dtype, shape, data }: Tensor, from: number, to: number): Tensor {
  const [rows = 0, ...rest] = shape;
  const each = rows === 0 ? 0 : data.length / rows;
  const part =
    dtype === 'BYTES'
      ? (data as readonly Uint8Array[]).slice(from * each, to * each)
      : (data as NumericData).subarray(from * each, to * each);
  return { dtype, shape: [to - from, ...rest], data: part };
}
