import type { DType } from './dtype.ts';
import { NumberStore, NumericArray } from './numeric-array.ts';
import { convertNumbers } from './number-conversion.ts';
import type { ScannedJson } from './scanned-json.ts';
import { elementCount, elementPath, formatShape, tensorError } from './shape.ts';
import type { Tensor } from './tensor.ts';

export interface JsonTensorOptions {
  readonly dtype: DType;
  /** Where the tensor stands in the request, for errors, e.g. `inputs.image`. */
  readonly path: string;
  /** The shape to fill, flat or nested; the nesting of the arrays tells the shape when it is left out. */
  readonly shape?: readonly number[];
}

type Leaf = null | boolean | number | bigint | string | { [key: string]: ScannedJson };

interface Leaves {
  readonly shape: readonly number[];
  readonly values: readonly Leaf[];
}

/** Longest part of a client's text that an error repeats. */
const QUOTED_CHARACTERS = 20;

function isArray(value: ScannedJson): value is NumericArray | ScannedJson[] {
  return value instanceof NumericArray || Array.isArray(value);
}

function sizeOf(array: NumericArray | ScannedJson[]): number {
  return array instanceof NumericArray ? array.shape[0]! : array.length;
}

function childOf(array: NumericArray | ScannedJson[], index: number): ScannedJson {
  return array instanceof NumericArray ? array.child(index) : array[index]!;
}

function elements(count: number): string {
  return count === 1 ? '1 element' : `${count} elements`;
}

/** What a value is called in an error. */
function describe(value: ScannedJson): string {
  if (value === null) return 'null';
  if (isArray(value)) return 'an array';
  if (typeof value === 'string') {
    return `the text ${JSON.stringify(value.length > QUOTED_CHARACTERS ? `${value.slice(0, QUOTED_CHARACTERS)}…` : value)}`;
  }
  return typeof value === 'object' ? 'an object' : String(value);
}

/** The shape that the first element of each level tells. */
function shapeOf(value: ScannedJson): number[] {
  const shape: number[] = [];
  for (let probe = value; isArray(probe); probe = childOf(probe, 0)) {
    shape.push(sizeOf(probe));
    if (sizeOf(probe) === 0) break;
  }
  return shape;
}

/** The leaves of nested arrays, row-major. @throws SlipwayError INVALID_TENSOR at the first place that is ragged. */
function flatten(value: ScannedJson, path: string): Leaves {
  const shape = shapeOf(value);
  const values: Leaf[] = [];
  const visit = (each: ScannedJson, axis: number, at: () => string): void => {
    if (!isArray(each)) {
      if (axis < shape.length) throw tensorError(at(), `is ${describe(each)} where its neighbours are arrays`);
      values.push(each);
      return;
    }
    if (axis === shape.length) throw tensorError(at(), 'is an array where its neighbours are single values');
    const size = sizeOf(each);
    if (size !== shape[axis])
      throw tensorError(at(), `has ${elements(size)} where its neighbours have ${shape[axis]}; the array is ragged`);
    for (let index = 0; index < size; index += 1) visit(childOf(each, index), axis + 1, () => `${at()}[${index}]`);
  };
  visit(value, 0, () => path);
  return { shape, values };
}

/** The shape of the tensor, once it is sure that elements in the shape `found` fill it. */
function fill(found: readonly number[], { shape: wanted, path }: JsonTensorOptions): readonly number[] {
  if (wanted === undefined) return found;
  const count = elementCount(found, path);
  const wantedCount = elementCount(wanted, path);
  if (count !== wantedCount) throw tensorError(path, `holds ${elements(count)}; the shape ${formatShape(wanted)} takes ${wantedCount}`);
  // Nested arrays tell the shape of an empty tensor up to its first 0.
  const told = found.length === wanted.length || found.at(-1) === 0;
  const alike = told && found.every((size, axis) => size === wanted[axis]);
  if (found.length > 1 && !alike) throw tensorError(path, `is nested as ${formatShape(found)}; the shape is ${formatShape(wanted)}`);
  return wanted;
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** The text of an object such as `{"b64":"aGk="}`, which stands for bytes that need not be text; undefined for others. */
export function base64Of(value: ScannedJson): string | undefined {
  if (typeof value !== 'object' || value === null || isArray(value)) return undefined;
  const { b64, ...rest } = value;
  return typeof b64 === 'string' && Object.keys(rest).length === 0 ? b64 : undefined;
}

function decodeTexts({ shape: found, values }: Leaves, options: JsonTensorOptions): Tensor {
  const shape = fill(found, options);
  const data = values.map((each, index) => {
    if (typeof each === 'string') return Buffer.from(each, 'utf8');
    const base64 = base64Of(each);
    if (base64 !== undefined && BASE64.test(base64)) return Buffer.from(base64, 'base64');
    throw tensorError(elementPath(options.path, found, index), `is ${describe(each)}; BYTES takes text`);
  });
  return { dtype: 'BYTES', shape, data };
}

/** Leaves that are numbers, or for BOOL true and false. */
function numbersOf({ shape, values }: Leaves, dtype: DType, path: string): NumericArray {
  const store = new NumberStore(new Float64Array(values.length));
  for (const [index, each] of values.entries()) {
    if (typeof each === 'number') store.push(each);
    else if (typeof each === 'bigint') store.pushBig(each);
    else if (typeof each === 'boolean' && dtype === 'BOOL') store.push(Number(each));
    else {
      const takes = dtype === 'BOOL' ? 'true and false' : 'numbers';
      throw tensorError(elementPath(path, shape, index), `is ${describe(each)}; ${dtype} takes ${takes}`);
    }
  }
  return new NumericArray(shape, store, 0);
}

/**
 * Makes a tensor of a JSON value: nested arrays, or a bare value for a scalar. BOOL takes true, false, 0 and 1; BYTES
 * takes text, as UTF-8, and `{"b64":"…"}`; FP16, BF16 and FP32 take numbers and round them; 64-bit integers lose nothing.
 * @throws SlipwayError INVALID_TENSOR naming the element that is ragged, of the wrong type or out of range.
 */
export function decodeJsonTensor(value: ScannedJson, options: JsonTensorOptions): Tensor {
  const { dtype, path } = options;
  if (dtype === 'BYTES') return decodeTexts(flatten(value, path), options);
  const numbers = value instanceof NumericArray ? value : numbersOf(flatten(value, path), dtype, path);
  const shape = fill(numbers.shape, options);
  return { dtype, shape, data: convertNumbers(numbers, dtype, path) };
}
