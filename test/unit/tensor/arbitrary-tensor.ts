import fc from 'fast-check';
import { DTYPES, type DType, STORAGE, type TensorData } from '../../../src/tensor/dtype.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';

/** Elements of one dtype as the raw bits that the tensor holds; `finite` leaves out NaN and infinities. */
function arbitraryData(dtype: DType, count: number, finite: boolean): fc.Arbitrary<TensorData> {
  const exactly = { minLength: count, maxLength: count };
  const half = (mask: number): fc.Arbitrary<Uint16Array> =>
    fc
      .array(
        fc.nat(0xffff).filter((bits) => !finite || (bits & mask) !== mask),
        exactly,
      )
      .map((bits) => Uint16Array.from(bits));
  switch (dtype) {
    case 'BYTES':
      return fc.array(
        fc.oneof(
          fc.string({ unit: 'binary' }).map((text) => new Uint8Array(Buffer.from(text.toWellFormed()))),
          fc.uint8Array(),
        ),
        exactly,
      );
    case 'BOOL':
      return fc.array(fc.nat(1), exactly).map((flags) => Uint8Array.from(flags));
    case 'FP16':
      return half(0x7c00);
    case 'BF16':
      return half(0x7f80);
    case 'FP32':
      return fc.float32Array({ ...exactly, noNaN: finite, noDefaultInfinity: finite });
    case 'FP64':
      return fc.float64Array({ ...exactly, noNaN: finite, noDefaultInfinity: finite });
    case 'INT64':
      return fc
        .array(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-5n, 5n)), exactly)
        .map((each) => BigInt64Array.from(each));
    case 'UINT64':
      return fc.array(fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 5n)), exactly).map((each) => BigUint64Array.from(each));
    default:
      return fc
        .uint8Array({ minLength: count * STORAGE[dtype].BYTES_PER_ELEMENT, maxLength: count * STORAGE[dtype].BYTES_PER_ELEMENT })
        .map((bytes) => new STORAGE[dtype](bytes.slice().buffer));
  }
}

/** Tensors of every dtype and of the ranks 0 to 4, empty ones too. */
export function arbitraryTensor({ finite }: { readonly finite: boolean }): fc.Arbitrary<Tensor> {
  return fc.tuple(fc.constantFrom(...DTYPES), fc.array(fc.nat(3), { maxLength: 4 })).chain(([dtype, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return arbitraryData(dtype, count, finite).map((data) => ({ dtype, shape, data }));
  });
}

/** The elements as plain values that compare by what they are. */
export function elementsOf({ data }: Tensor): unknown[] {
  return Array.from(data as ArrayLike<unknown>, (element) =>
    element instanceof Uint8Array ? Buffer.from(element).toString('hex') : element,
  );
}
