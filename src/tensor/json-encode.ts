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
}

/** Empty arrays that an empty tensor may be written as; its shape can ask for any number of them at no cost. */
const MOST_EMPTY_ARRAYS = 1_000_000;

/** Usual length of a number and its comma. */
const NUMBER_BYTES = 12;

/** Writes element `index` at the end of the text. */
type WriteElement = (text: TextBuffer, index: number) => void;

/** Writes elements with the brackets of `shape`, which has no dimension of 0, around and between them. */
function writeNested(text: TextBuffer, shape: readonly number[], count: number, write: WriteElement): void {
  const rank = shape.length;
  const row = shape.at(-1) ?? 1;
  text.text('['.repeat(rank));
  let untilRowEnd = row;
  for (let index = 0; index < count; index += 1) {
    if (untilRowEnd === 0) {
      // As many arrays end here as there are axes, from the last on, that have run through.
      let ending = 0;
      for (let rest = index; rest % shape[rank - 1 - ending]! === 0; ending += 1) rest /= shape[rank - 1 - ending]!;
      text.text(`${']'.repeat(ending)},${'['.repeat(ending)}`);
      untilRowEnd = row;
    } else if (index > 0) text.text(',');
    untilRowEnd -= 1;
    write(text, index);
  }
  text.text(']'.repeat(rank));
}

function writeBytes(elements: readonly Uint8Array[]): WriteElement {
  return (text, index) => {
    const element = elements[index]!;
    const bytes = Buffer.from(element.buffer, element.byteOffset, element.byteLength);
    text.text(isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : `{"b64":"${bytes.toString('base64')}"}`);
  };
}

/** Most 64-bit integers are small: as a number they are written without making a bigint of each. */
function writeBigIntegers(integers: BigInt64Array | BigUint64Array): WriteElement {
  const low = new Uint32Array(integers.buffer, integers.byteOffset, integers.length * 2);
  const high = integers instanceof BigInt64Array ? new Int32Array(low.buffer, low.byteOffset, low.length) : low;
  return (text, index) => {
    const value = high[2 * index + 1]! * 2 ** 32 + low[2 * index]!;
    if (Number.isSafeInteger(value)) text.double(value);
    else text.text(String(integers[index]));
  };
}

function writeNumbers(numbers: ArrayLike<number>, nonFinite: boolean, precision: 'single' | 'double'): WriteElement {
  return (text, index) => {
    const value = numbers[index]!;
    if (Number.isFinite(value)) text[precision](value);
    else text.text(nonFinite ? String(value) : 'null');
  };
}

function elementWriter({ dtype, data }: Tensor, nonFinite: boolean): WriteElement {
  switch (dtype) {
    case 'BYTES':
      return writeBytes(data as readonly Uint8Array[]);
    case 'BOOL':
      return (text, index) => text.text(data[index] === 0 ? 'false' : 'true');
    case 'INT64':
    case 'UINT64':
      return writeBigIntegers(data as BigInt64Array | BigUint64Array);
    case 'FP16':
      return writeNumbers(decodeFp16(data as Uint16Array), nonFinite, 'single');
    case 'BF16':
      return writeNumbers(decodeBf16(data as Uint16Array), nonFinite, 'single');
    case 'FP32':
      return writeNumbers(data as Float32Array, nonFinite, 'single');
    default:
      return writeNumbers(data as Float64Array, nonFinite, 'double');
  }
}

/**
 * Writes a tensor as JSON text. FP16, BF16 and FP32 are written with as few digits as read back to the same element,
 * which takes half the bytes of the equal double; everything else exactly. BYTES are text, or `{"b64":"…"}` where they
 * are not UTF-8.
 * @throws SlipwayError INVALID_TENSOR for an empty tensor whose shape asks for over a million empty arrays.
 */
export function encodeJsonTensor(tensor: Tensor, { flat = false, nonFinite = false }: JsonEncodeOptions = {}): string {
  const count = elementCount(tensor.shape, 'shape');
  const shape = flat ? [count] : tensor.shape;
  if (count > 0) {
    const text = new TextBuffer(count * NUMBER_BYTES);
    writeNested(text, shape, count, elementWriter(tensor, nonFinite));
    return text.toString();
  }
  const outer = shape.slice(0, shape.indexOf(0));
  const arrays = elementCount(outer, 'shape');
  if (arrays > MOST_EMPTY_ARRAYS) {
    throw tensorError('outputs', `an empty tensor of the shape ${formatShape(shape)} is too long to write; ask for the binary form`);
  }
  const text = new TextBuffer(arrays * '[],'.length);
  writeNested(text, outer, arrays, () => text.text('[]'));
  return text.toString();
}
