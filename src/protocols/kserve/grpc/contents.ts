import { type ElementFields, readElements } from '../../grpc/elements.ts';
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from '../../../protobuf/wire-reader.ts';
import type { DType } from '../../../tensor/dtype.ts';
import { elementCount, formatShape, tensorError } from '../../../tensor/shape.ts';
import type { Tensor } from '../../../tensor/tensor.ts';

/** The message `InferTensorContents`. FP16 and BF16 have no field in it. */
const FIELDS: ElementFields = {
  byDtype: {
    BOOL: { number: 1, wireType: VARINT },
    INT8: { number: 2, wireType: VARINT },
    INT16: { number: 2, wireType: VARINT },
    INT32: { number: 2, wireType: VARINT },
    INT64: { number: 3, wireType: VARINT },
    UINT8: { number: 4, wireType: VARINT },
    UINT16: { number: 4, wireType: VARINT },
    UINT32: { number: 4, wireType: VARINT },
    UINT64: { number: 5, wireType: VARINT },
    FP32: { number: 6, wireType: FIXED32 },
    FP64: { number: 7, wireType: FIXED64 },
    BYTES: { number: 8, wireType: LENGTH_DELIMITED },
    FP16: undefined,
    BF16: undefined,
  },
  names: {
    1: 'bool_contents',
    2: 'int_contents',
    3: 'int64_contents',
    4: 'uint_contents',
    5: 'uint64_contents',
    6: 'fp32_contents',
    7: 'fp64_contents',
    8: 'bytes_contents',
  },
};

/**
 * Reads a tensor from the message `InferTensorContents`, straight into its memory.
 * @throws SlipwayError INVALID_TENSOR when the elements are in another field than the datatype takes, do not fill the
 *   shape, or are out of range; INVALID_REQUEST when the bytes are no such message.
 */
export function decodeContents(contents: Buffer, dtype: DType, shape: readonly number[], path: string): Tensor {
  const most = elementCount(shape, path);
  if (FIELDS.byDtype[dtype] === undefined) {
    throw tensorError(path, `${dtype} has no typed form in this protocol; send it in raw_input_contents`);
  }
  const refuse = (found: string): Error => tensorError(path, `has ${found} elements; ${dtype} ${formatShape(shape)} takes ${most}`);
  // Each element takes a byte at least, so a hostile shape is refused before anything is allocated for it.
  if (most > contents.length) throw refuse(`at most ${contents.length}`);
  const { data, count } = readElements(contents, FIELDS, { dtype, most, path, refuse });
  if (count < most) throw refuse(String(count));
  return { dtype, shape, data };
}
