import { decodeBinaryTensor, encodeBinaryTensor } from '../tensor/binary.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { alignedBytes, type Section } from './frames.ts';
import type { TensorHeader } from './messages.ts';

/** Tensors as a frame carries them: their headers, and their bytes in the same order. */
export interface PackedTensors {
  readonly headers: TensorHeader[];
  readonly sections: Section[];
}

/**
 * Lays tensors out for a frame without copying their numbers. Those of several parts are joined along their first
 * dimension, which takes no more than their bytes one behind the other.
 * @param parts at least one, all with the same names and dtypes, and but for the first the same dimensions.
 */
export function packTensors(parts: readonly NamedTensors[]): PackedTensors {
  const headers: TensorHeader[] = [];
  const sections: Section[] = [];
  const [first, ...rest] = parts;
  for (const [name, tensor] of first!) {
    const pieces = [encodeBinaryTensor(tensor)];
    let { shape } = tensor;
    let bytes = pieces[0]!.byteLength;
    if (rest.length > 0) {
      let rows = shape[0]!;
      for (const part of rest) {
        const more = part.get(name)!;
        const piece = encodeBinaryTensor(more);
        pieces.push(piece);
        bytes += piece.byteLength;
        rows += more.shape[0]!;
      }
      shape = [rows, ...shape.slice(1)];
    }
    headers.push({ name, dtype: tensor.dtype, shape, bytes });
    sections.push(pieces);
  }
  return { headers, sections };
}

/** Reads tensors in place from the body of a frame. @throws SlipwayError INVALID_TENSOR when one does not fill its shape. */
export function unpackTensors(headers: readonly TensorHeader[], body: Uint8Array): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  let offset = 0;
  for (const { name, dtype, shape, bytes } of headers) {
    const section = body.subarray(offset, offset + bytes);
    tensors.set(name, decodeBinaryTensor(section, dtype, shape, name, { copy: false }));
    offset += alignedBytes(bytes);
  }
  return tensors;
}

/** The bytes that these tensors take in a body, padding included. */
export function bodyBytesOf(message: { readonly kind: string; readonly tensors?: readonly TensorHeader[] }): number {
  let total = 0;
  if (message.tensors !== undefined) for (const { bytes } of message.tensors) total += alignedBytes(bytes);
  return total;
}
