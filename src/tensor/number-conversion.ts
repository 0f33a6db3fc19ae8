import { type FixedDType, type NumericData, STORAGE } from './dtype.ts';
import { encodeBf16, encodeFp16 } from './float16.ts';
import type { NumericArray } from './numeric-array.ts';
import { elementPath, tensorError } from './shape.ts';
import { smallArray } from './small-array.ts';

const INTEGER_RANGE = {
  BOOL: [0, 1],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
} as const;

const BIG_RANGE = {
  UINT64: [0n, 2n ** 64n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

/** Largest finite numbers. */
const FLOAT_MAX = { FP16: 65_504, BF16: 3.3895313892515355e38, FP32: 3.4028234663852886e38 } as const;

type IntegerDType = keyof typeof INTEGER_RANGE;
type BigDType = keyof typeof BIG_RANGE;
type FloatDType = keyof typeof FLOAT_MAX;

/** Why the number at `index` is no element of an integer dtype. */
function integerError(numbers: NumericArray, index: number, dtype: IntegerDType | BigDType, path: string): Error {
  const value = numbers.at(index);
  const at = elementPath(path, numbers.shape, index);
  if (typeof value === 'number' && !Number.isInteger(value)) return tensorError(at, `${value} is not a whole number, as ${dtype} needs`);
  const [low, high] = dtype === 'INT64' || dtype === 'UINT64' ? BIG_RANGE[dtype] : INTEGER_RANGE[dtype];
  // As a number, an integer is written with zeros for its last digits.
  const written = Math.abs(Number(value)) < 1e21 ? BigInt(value) : value;
  return tensorError(at, `${written} is out of range for ${dtype} (${low} to ${high})`);
}

function toIntegers(numbers: NumericArray, dtype: IntegerDType, path: string): NumericData {
  const { values } = numbers;
  const [low, high] = INTEGER_RANGE[dtype];
  const data = new STORAGE[dtype](values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    data[index] = value;
    // What the array holds differs from the value when that is fractional, out of range or NaN.
    if (data[index] !== value || value > high || value < low) throw integerError(numbers, index, dtype, path);
  }
  return data;
}

/** 64-bit integers are written as two 32-bit words, since a bigint for each costs an allocation. */
function toBigIntegers(numbers: NumericArray, dtype: BigDType, path: string): NumericData {
  const { values, bigints } = numbers;
  const [low, high] = BIG_RANGE[dtype];
  const data = new STORAGE[dtype](values.length);
  const words = new Int32Array(data.buffer);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (Number.isSafeInteger(value) && (value >= 0 || dtype === 'INT64')) {
      words[2 * index] = value;
      words[2 * index + 1] = Math.floor(value / 2 ** 32);
    } else if (Number.isInteger(value)) {
      const big = bigints?.get(index) ?? BigInt(value);
      if (big < low || big > high) throw integerError(numbers, index, dtype, path);
      data[index] = big;
    } else throw integerError(numbers, index, dtype, path);
  }
  return data;
}

/** A number of the client became an infinity; one that was written as such, where the protocol allows it, stays one. */
function overflowError(numbers: NumericArray, index: number, dtype: FloatDType, path: string): Error {
  const max = FLOAT_MAX[dtype];
  return tensorError(elementPath(path, numbers.shape, index), `${numbers.at(index)} is out of range for ${dtype} (${-max} to ${max})`);
}

function toSingle(numbers: NumericArray, path: string): Float32Array {
  const { values } = numbers;
  const data = smallArray(Float32Array, values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    data[index] = value;
    if (Math.abs(data[index]!) === Infinity && Math.abs(value) !== Infinity) throw overflowError(numbers, index, 'FP32', path);
  }
  return data;
}

function toHalf(numbers: NumericArray, dtype: 'FP16' | 'BF16', path: string): Uint16Array {
  const { values } = numbers;
  const data = dtype === 'FP16' ? encodeFp16(values) : encodeBf16(values);
  const infinity = dtype === 'FP16' ? 0x7c00 : 0x7f80;
  for (let index = 0; index < data.length; index += 1) {
    if ((data[index]! & 0x7fff) === infinity && Math.abs(values[index]!) !== Infinity) throw overflowError(numbers, index, dtype, path);
  }
  return data;
}

/**
 * The numbers as the elements of a dtype: integers must be whole and in range, floats are rounded to nearest, ties to
 * even. One flat loop for each dtype.
 * @param path where the tensor stands in the request, for errors.
 * @throws SlipwayError INVALID_TENSOR naming the element that is fractional or out of range.
 */
export function convertNumbers(numbers: NumericArray, dtype: FixedDType, path: string): NumericData {
  switch (dtype) {
    case 'FP64':
      return numbers.values.slice();
    case 'FP32':
      return toSingle(numbers, path);
    case 'FP16':
    case 'BF16':
      return toHalf(numbers, dtype, path);
    case 'INT64':
    case 'UINT64':
      return toBigIntegers(numbers, dtype, path);
    default:
      return toIntegers(numbers, dtype, path);
  }
}
