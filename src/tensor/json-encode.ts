import { isUtf8 } from 'node:buffer';
import { decodeBf16, decodeFp16 } from './float16.ts';
import { elementCount, formatShape, tensorError } from './shape.ts';
import type { Tensor } from './tensor.ts';
import { TextBuffer } from './text-buffer.ts';

export interface JsonEncodeOptions {
  /** One flat array, whatever the shape. Default false: nested as the shape says. */
  readonly flat?: boolean;
  /** Write NaN, Infinity and -Infinity bare, which JSON does not allow. Default false: null stands for them. */
  readonly nonFinite?: boolean;
  /** Write whole floats with a point, `3.0`, so that readers which tell floats from integers see one. Default false. */
  readonly point?: boolean;
  /** Write all BYTES as `{"b64":"…"}`. Default false: only those that are not UTF-8. */
  readonly base64?: boolean;
}

/** Whole numbers of this size on are written with an exponent. */
const EXPONENT_FROM = 1e21;

/** Empty arrays that an empty tensor may be written as; its shape can ask for any number of them at no cost. */
const MOST_EMPTY_ARRAYS = 1_000_000;

/** Usual length of a number and its comma. */
const NUMBER_BYTES = 12;

/** Room for texts of so many elements is used again by the next one; larger ones get room of their own. */
const SHARED_ELEMENTS = 4_096;
const shared = new TextBuffer(SHARED_ELEMENTS * NUMBER_BYTES);

type NumberOptions = Required<Pick<JsonEncodeOptions, 'nonFinite' | 'point'>>;

/** Writes the elements from `start` to before `end`, with commas between them. */
type WriteRow = (start: number, end: number) => void;

/**
 * Writes `count` elements with the brackets of `shape`, which has no dimension of 0, around and between its rows.
 * @param write adds a piece of text.
 */
function writeNested(shape: readonly number[], count: number, write: (text: string) => void, writeRow: WriteRow): void {
  const rank = shape.length;
  const row = shape.at(-1) ?? 1;
  write('['.repeat(rank));
  for (let start = 0; start < count; start += row) {
    if (start > 0) {
      // As many arrays end here as there are axes, from the last on, that have run through.
      let ending = 0;
      for (let rest = start; Number.isInteger(rest / shape[rank - 1 - ending]!); ending += 1) rest /= shape[rank - 1 - ending]!;
      write(`${']'.repeat(ending)},${'['.repeat(ending)}`);
    }
    writeRow(start, start + row);
  }
  write(']'.repeat(rank));
}

function rowOfBooleans(text: TextBuffer, flags: Uint8Array): WriteRow {
  return (start, end) => {
    for (let index = start; index < end; index += 1) {
      if (index > start) text.comma();
      text.text(flags[index] === 0 ? 'false' : 'true');
    }
  };
}

/** Most 64-bit integers are small: as a number they are written without making a bigint of each. */
function rowOfBigIntegers(text: TextBuffer, integers: BigInt64Array | BigUint64Array): WriteRow {
  const low = new Uint32Array(integers.buffer, integers.byteOffset, integers.length * 2);
  const high = integers instanceof BigInt64Array ? new Int32Array(low.buffer, low.byteOffset, low.length) : low;
  return (start, end) => {
    for (let index = start; index < end; index += 1) {
      if (index > start) text.comma();
      const value = high[2 * index + 1]! * 2 ** 32 + low[2 * index]!;
      if (Number.isSafeInteger(value)) text.double(value);
      else text.text(String(integers[index]));
    }
  };
}

function writeSpecial(text: TextBuffer, value: number, nonFinite: boolean): void {
  text.text(nonFinite ? String(value) : 'null');
}

function writePoint(text: TextBuffer, value: number): void {
  if (Number.isInteger(value) && Math.abs(value) < EXPONENT_FROM) text.text('.0');
}

function rowOfSingles(text: TextBuffer, numbers: Float32Array | Float16Array, { nonFinite, point }: NumberOptions): WriteRow {
  return (start, end) => {
    for (let index = start; index < end; index += 1) {
      if (index > start) text.comma();
      const value = numbers[index]!;
      if (Number.isFinite(value)) text.single(value);
      else writeSpecial(text, value, nonFinite);
      if (point) writePoint(text, value);
    }
  };
}

function rowOfDoubles(text: TextBuffer, numbers: ArrayLike<number>, { nonFinite, point }: NumberOptions): WriteRow {
  return (start, end) => {
    for (let index = start; index < end; index += 1) {
      if (index > start) text.comma();
      const value = numbers[index]!;
      if (Number.isFinite(value)) text.double(value);
      else writeSpecial(text, value, nonFinite);
      if (point) writePoint(text, value);
    }
  };
}

const INTEGERS: NumberOptions = { nonFinite: false, point: false };

function rowWriter(text: TextBuffer, { dtype, data }: Tensor, options: NumberOptions): WriteRow {
  switch (dtype) {
    case 'BOOL':
      return rowOfBooleans(text, data as Uint8Array);
    case 'INT64':
    case 'UINT64':
      return rowOfBigIntegers(text, data as BigInt64Array | BigUint64Array);
    case 'FP16':
      return rowOfSingles(text, decodeFp16(data as Uint16Array), options);
    case 'BF16':
      return rowOfSingles(text, decodeBf16(data as Uint16Array), options);
    case 'FP32':
      return rowOfSingles(text, data as Float32Array, options);
    case 'FP64':
      return rowOfDoubles(text, data as Float64Array, options);
    default:
      return rowOfDoubles(text, data as Int32Array, INTEGERS);
  }
}

/** Byte strings as JSON: text where they are UTF-8. */
function byteStringText(element: Uint8Array, base64: boolean): string {
  const bytes = Buffer.from(element.buffer, element.byteOffset, element.byteLength);
  return !base64 && isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : `{"b64":"${bytes.toString('base64')}"}`;
}

/** Texts with the brackets of a shape. */
function nestTexts(shape: readonly number[], count: number, textOf: (index: number) => string): string {
  let written = '';
  const write = (text: string): void => {
    written += text;
  };
  writeNested(shape, count, write, (start, end) => {
    for (let index = start; index < end; index += 1) written += index > start ? `,${textOf(index)}` : textOf(index);
  });
  return written;
}

function encodeEmpty(shape: readonly number[]): string {
  const outer = shape.slice(0, shape.indexOf(0));
  const arrays = elementCount(outer, 'shape');
  if (arrays > MOST_EMPTY_ARRAYS) {
    throw tensorError('outputs', `an empty tensor of the shape ${formatShape(shape)} is too long to write; ask for the binary form`);
  }
  return nestTexts(outer, arrays, () => '[]');
}

/**
 * Writes a tensor as JSON text. FP16, BF16 and FP32 are written with as few digits as read back to the same element,
 * which takes half the bytes of the equal double; everything else exactly. BYTES are text, or `{"b64":"…"}` where they
 * are not UTF-8.
 * @throws SlipwayError INVALID_TENSOR for an empty tensor whose shape asks for over a million empty arrays.
 */
export function encodeJsonTensor(
  tensor: Tensor,
  { flat = false, nonFinite = false, point = false, base64 = false }: JsonEncodeOptions = {},
): string {
  const count = elementCount(tensor.shape, 'shape');
  const shape = flat ? [count] : tensor.shape;
  if (count === 0) return encodeEmpty(shape);
  if (tensor.dtype === 'BYTES') {
    const elements = tensor.data as readonly Uint8Array[];
    return nestTexts(shape, count, (index) => byteStringText(elements[index]!, base64));
  }
  const text = count <= SHARED_ELEMENTS ? shared.clear() : new TextBuffer(count * NUMBER_BYTES);
  writeNested(shape, count, (piece) => text.text(piece), rowWriter(text, tensor, { nonFinite, point }));
  return text.toString();
}

/** Writes one number as `encodeJsonTensor` writes that of a tensor of this dtype. */
export function encodeJsonNumber(value: number, dtype: 'FP32' | 'FP64'): string {
  if (!Number.isFinite(value)) return 'null';
  shared.clear();
  if (dtype === 'FP32') shared.single(Math.fround(value));
  else shared.double(value);
  return shared.toString();
}
