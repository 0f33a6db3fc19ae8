import { decodeBinaryTensor, encodeBinaryTensor } from '../tensor/binary.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { alignedBytes } from './frames.ts';
import type { TensorHeader } from './messages.ts';

/** Tensors as a frame carries them: their headers, and their bytes in the same order. */
export interface PackedTensors {
  readonly headers: TensorHeader[];
  readonly sections: Uint8Array[];
}

/** Lays tensors out for a frame without copying their numbers. */
export function packTensors(tensors: NamedTensors): PackedTensors {
  const headers: TensorHeader[] = [];
  const sections: Uint8Array[] = [];
  for (const [name, tensor] of tensors) {
    const bytes = encodeBinaryTensor(tensor);
    headers.push({ name, dtype: tensor.dtype, shape: tensor.shape, bytes: bytes.byteLength });
    sections.push(bytes);
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
