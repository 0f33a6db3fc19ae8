import { decodeBf16, decodeFp16 } from '../tensor/float16.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

/** How far two answers to the same request are apart. */
export interface Difference {
  /** Equal to the last bit. */
  readonly exact: boolean;
  /** Equal but for rounding: within 1e-3 of each other, relative to the larger values of the output. */
  readonly close: boolean;
}

const TOLERANCE = 1e-3;

const SAME: Difference = { exact: true, close: true };
const APART: Difference = { exact: false, close: false };

function floatsOf({ dtype, data }: Tensor): ArrayLike<number> | undefined {
  if (dtype === 'FP32' || dtype === 'FP64') return data as Float32Array | Float64Array;
  if (dtype === 'FP16') return decodeFp16(data as Uint16Array);
  if (dtype === 'BF16') return decodeBf16(data as Uint16Array);
  return undefined;
}

function compareFloats(a: ArrayLike<number>, b: ArrayLike<number>): Difference {
  let exact = true;
  let scale = 0;
  let apart = 0;
  for (let index = 0; index < a.length; index += 1) {
    const [left, right] = [a[index]!, b[index]!];
    if (Object.is(left, right)) {
      if (Number.isFinite(left)) scale = Math.max(scale, Math.abs(left));
      continue;
    }
    exact = false;
    const difference = Math.abs(left - right);
    // One of them is NaN or infinite, and the other is not.
    if (!Number.isFinite(difference)) return APART;
    apart = Math.max(apart, difference);
    scale = Math.max(scale, Math.abs(left), Math.abs(right));
  }
  return { exact, close: apart <= TOLERANCE * Math.max(scale, Number.MIN_VALUE) };
}

function compareTensors(a: Tensor, b: Tensor): Difference {
  if (a.dtype !== b.dtype || a.data.length !== b.data.length || a.shape.some((size, axis) => size !== b.shape[axis])) return APART;
  const [left, right] = [floatsOf(a), floatsOf(b)];
  if (left !== undefined && right !== undefined) return compareFloats(left, right);
  if (a.dtype === 'BYTES') {
    const [texts, others] = [a.data as readonly Uint8Array[], b.data as readonly Uint8Array[]];
    return texts.every((text, index) => Buffer.compare(text, others[index]!) === 0) ? SAME : APART;
  }
  const [values, others] = [a.data as ArrayLike<number>, b.data as ArrayLike<number>];
  for (let index = 0; index < values.length; index += 1) if (values[index] !== others[index]) return APART;
  return SAME;
}

/** Compares the outputs of one request with those of the same request run in another way. */
export function compareOutputs(a: NamedTensors, b: NamedTensors): Difference {
  let exact = a.size === b.size;
  let close = exact;
  for (const [name, tensor] of a) {
    const other = b.get(name);
    const difference = other === undefined ? APART : compareTensors(tensor, other);
    exact &&= difference.exact;
    close &&= difference.close;
  }
  return { exact, close };
}
