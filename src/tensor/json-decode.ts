import { type DType, type FixedDType, type NumericData, STORAGE } from './dtype.ts';
import { encodeBf16, encodeFp16 } from './float16.ts';
import { NumericArray, type PlainJson, type ScannedJson, toPlain } from './json-scanner.ts';
import { elementCount, formatShape, tensorError } from './shape.ts';
import type { Tensor } from './tensor.ts';

export interface JsonTensorOptions {
  readonly dtype: DType;
  /** Where the tensor stands in the request, for errors, e.g. `inputs.image`. */
  readonly path: string;
  /** The shape to fill, flat or nested; the nesting of the arrays tells the shape when it is left out. */
  readonly shape?: readonly number[];
}

const INTEGER_RANGE: Partial<Record<DType, readonly [number, number]>> = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
};

const BIG_RANGE: Partial<Record<DType, readonly [bigint, bigint]>> = {
  UINT64: [0n, 2n ** 64n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** Largest finite numbers; what rounds beyond them would silently become an infinity. */
const FLOAT_MAX = { FP16: 65_504, BF16: 3.3895313892515355e38, FP32: 3.4028234663852886e38 } as const;

/** The path of an element by its flat index: `inputs[0][3]`. */
function elementPath(path: string, shape: readonly number[], index: number): string {
  let rest = index;
  let text = '';
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    const size = shape[axis]!;
    text = `[${rest % size}]${text}`;
    rest = Math.floor(rest / size);
  }
  return path + text;
}

/** What a value is called in an error message. */
function describe(value: PlainJson): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `the text ${JSON.stringify(value.length > 20 ? `${value.slice(0, 20)}…` : value)}`;
  if (typeof value === 'object') return 'an object';
  return String(value);
}

interface Leaves {
  readonly shape: readonly number[];
  readonly values: readonly PlainJson[];
}

/** The leaves of nested arrays, row-major. @throws SlipwayError INVALID_TENSOR where the arrays are ragged. */
function flatten(value: PlainJson, path: string): Leaves {
  const shape: number[] = [];
  for (let probe: PlainJson | undefined = value; Array.isArray(probe); [probe] = probe) shape.push(probe.length);
  const values: PlainJson[] = [];
  const visit = (each: PlainJson, axis: number, at: string): void => {
    if (axis === shape.length) {
      if (Array.isArray(each)) throw tensorError(at, 'is an array where its neighbours are single values');
      values.push(each);
      return;
    }
    if (!Array.isArray(each)) throw tensorError(at, `is ${describe(each)} where its neighbours are arrays`);
    if (each.length !== shape[axis]) {
      throw tensorError(at, `has ${each.length} elements where its neighbours have ${shape[axis]}; the array is ragged`);
    }
    for (const [index, child] of each.entries()) visit(child, axis + 1, `${at}[${index}]`);
  };
  visit(value, 0, path);
  return { shape, values };
}

function fill(shape: readonly number[], options: JsonTensorOptions): readonly number[] {
  const wanted = options.shape;
  if (wanted === undefined) return shape;
  const count = elementCount(wanted, options.path);
  const found = elementCount(shape, options.path);
  const nestedAlike = shape.length === wanted.length && shape.every((size, axis) => size === wanted[axis]);
  if (count !== found || (shape.length > 1 && !nestedAlike)) {
    throw tensorError(options.path, `holds ${found} elements in the shape ${formatShape(shape)}; ${formatShape(wanted)} takes ${count}`);
  }
  return wanted;
}

function checkIntegers(values: Float64Array, [low, high]: readonly [number, number], dtype: DType, path: string, shape: readonly number[]): void {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (value >= low && value <= high && Number.isInteger(value)) continue;
    const at = elementPath(path, shape, index);
    if (!Number.isInteger(value)) throw tensorError(at, `${value} is not a whole number, as ${dtype} needs`);
    throw tensorError(at, `${value} is out of range for ${dtype} (${low} to ${high})`);
  }
}

function bigIntegers(numbers: NumericArray, dtype: 'INT64' | 'UINT64', path: string, shape: readonly number[]): NumericData {
  const { values } = numbers;
  const [low, high] = BIG_RANGE[dtype]!;
  const data = new STORAGE[dtype](values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = numbers.at(index);
    if (typeof value === 'number' && !Number.isInteger(value)) {
      throw tensorError(elementPath(path, shape, index), `${value} is not a whole number, as ${dtype} needs`);
    }
    const big = BigInt(value);
    if (big < low || big > high) throw tensorError(elementPath(path, shape, index), `${big} is out of range for ${dtype} (${low} to ${high})`);
    data[index] = big;
  }
  return data;
}

function checkFinite(data: ArrayLike<number>, values: Float64Array, dtype: keyof typeof FLOAT_MAX, path: string, shape: readonly number[]): void {
  for (let index = 0; index < data.length; index += 1) {
    // An infinity that the client wrote as such (where its protocol allows it) stays one.
    if (Math.abs(data[index]!) !== Infinity || Math.abs(values[index]!) === Infinity) continue;
    throw tensorError(elementPath(path, shape, index), `${values[index]} is out of range for ${dtype} (±${FLOAT_MAX[dtype]})`);
  }
}

function convert(numbers: NumericArray, dtype: FixedDType, path: string, shape: readonly number[]): NumericData {
  const { values } = numbers;
  switch (dtype) {
    case 'FP64':
      return values.slice();
    case 'FP32': {
      const data = new Float32Array(values);
      checkFinite(data, values, dtype, path, shape);
      return data;
    }
    case 'FP16':
      checkFinite(Float16Array.from(values), values, dtype, path, shape);
      return encodeFp16(values);
    case 'BF16':
      checkFinite(values.map((value) => (Math.abs(Math.fround(value)) > FLOAT_MAX.BF16 ? Infinity : value)), values, dtype, path, shape);
      return encodeBf16(values);
    case 'INT64':
    case 'UINT64':
      return bigIntegers(numbers, dtype, path, shape);
    case 'BOOL':
      checkIntegers(values, [0, 1], dtype, path, shape);
      return new Uint8Array(values);
    default:
      checkIntegers(values, INTEGER_RANGE[dtype]!, dtype, path, shape);
      return new STORAGE[dtype](values);
  }
}

/** Elements that are not all numbers: the booleans of BOOL, the texts of BYTES; anything else is an error. */
function decodeLeaves(value: ScannedJson, options: JsonTensorOptions): Tensor {
  const { dtype, path } = options;
  const { shape: found, values } = flatten(toPlain(value), path);
  const shape = fill(found, options);
  if (dtype === 'BYTES') {
    const data = values.map((each, index) => {
      if (typeof each !== 'string') throw tensorError(elementPath(path, found, index), `is ${describe(each)}; BYTES takes text`);
      return Buffer.from(each, 'utf8');
    });
    return { dtype, shape, data };
  }
  const numbers = new Float64Array(values.length);
  const bigints = new Map<number, bigint>();
  for (const [index, each] of values.entries()) {
    if (typeof each === 'number' || (dtype === 'BOOL' && typeof each === 'boolean')) numbers[index] = Number(each);
    else if (typeof each === 'bigint') {
      numbers[index] = Number(each);
      bigints.set(index, each);
    } else throw tensorError(elementPath(path, found, index), `is ${describe(each)}; ${dtype} takes ${dtype === 'BOOL' ? 'true or false' : 'numbers'}`);
  }
  return { dtype, shape, data: convert(new NumericArray(found, numbers, bigints), dtype, path, found) };
}

/**
 * Makes a tensor of a JSON value: nested arrays, or a bare value for a scalar. BOOL takes true, false, 0 and 1; BYTES
 * takes text as UTF-8; FP16 and BF16 take numbers and round them; 64-bit integers lose nothing.
 * @throws SlipwayError INVALID_TENSOR naming the element that is ragged, of the wrong type or out of range.
 */
export function decodeJsonTensor(value: ScannedJson, options: JsonTensorOptions): Tensor {
  const { dtype, path } = options;
  const empty = value instanceof NumericArray && value.values.length === 0;
  if (!(value instanceof NumericArray) || (dtype === 'BYTES' && !empty)) return decodeLeaves(value, options);
  const shape = fill(value.shape, options);
  return { dtype, shape, data: dtype === 'BYTES' ? [] : convert(value, dtype, path, value.shape) };
}
