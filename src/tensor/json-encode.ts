import { isUtf8 } from 'node:buffer';
import { decodeBf16, decodeFp16 } from './float16.ts';
import { elementCount } from './shape.ts';
import type { Tensor } from './tensor.ts';

export interface JsonEncodeOptions {
  /** One flat array, whatever the shape. Default false: nested as the shape says. */
  readonly flat?: boolean;
  /** Write NaN, Infinity and -Infinity bare, which JSON does not allow. Default false: null stands for them. */
  readonly nonFinite?: boolean;
}

/** The elements as an array of which `JSON.stringify` writes each one right. */
function elementTexts(tensor: Tensor, nonFinite: boolean): (index: number) => string {
  const { dtype, data } = tensor;
  const numberText = (value: number): string => {
    if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
    return nonFinite ? String(value) : 'null';
  };
  switch (dtype) {
    case 'BYTES': {
      const elements = data as readonly Uint8Array[];
      return (index) => {
        const bytes = Buffer.from(elements[index]!.buffer, elements[index]!.byteOffset, elements[index]!.byteLength);
        return isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : `{"b64":"${bytes.toString('base64')}"}`;
      };
    }
    case 'BOOL': {
      const flags = data as Uint8Array;
      return (index) => (flags[index] === 0 ? 'false' : 'true');
    }
    case 'INT64':
    case 'UINT64': {
      const integers = data as BigInt64Array;
      return (index) => integers[index]!.toString();
    }
    case 'FP16': {
      const numbers = decodeFp16(data as Uint16Array);
      return (index) => numberText(numbers[index]!);
    }
    case 'BF16': {
      const numbers = decodeBf16(data as Uint16Array);
      return (index) => numberText(numbers[index]!);
    }
    default: {
      const numbers = data as Float64Array;
      return (index) => numberText(numbers[index]!);
    }
  }
}

/**
 * Writes a tensor as JSON text. Floats are written as the exact doubles that they are, so a client that reads doubles
 * has the model's numbers to the bit. BYTES that are not UTF-8 become `{"b64":"…"}`.
 */
export function encodeJsonTensor(tensor: Tensor, { flat = false, nonFinite = false }: JsonEncodeOptions = {}): string {
  const text = elementTexts(tensor, nonFinite);
  const shape = flat ? [elementCount(tensor.shape, 'shape')] : tensor.shape;
  let next = 0;
  const write = (axis: number): string => {
    if (axis === shape.length) {
      next += 1;
      return text(next - 1);
    }
    const size = shape[axis]!;
    let written = '[';
    for (let index = 0; index < size; index += 1) {
      if (index > 0) written += ',';
      written += write(axis + 1);
    }
    return `${written}]`;
  };
  return write(0);
}
