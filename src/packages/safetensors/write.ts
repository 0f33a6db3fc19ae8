import type { StoredWeight } from '../tfjs/decode-weights.ts';
import { LENGTH_BYTES } from './header.ts';

const DTYPES = { FP32: 'F32', INT32: 'I32', BOOL: 'BOOL' } as const;

/** Headers end in spaces at a multiple of so many bytes, so that the numbers of every dtype are aligned. */
const ALIGNMENT = 8;

/**
 * Weights as a safetensors file, by their names: the numbers to the bit, those that are stored quantized as the FP32 that they
 * stand for. The same weights give the same bytes: dtypes of more bytes come first, then names in order, as the reference
 * implementation writes them.
 */
export function writeSafetensors(weights: ReadonlyMap<string, StoredWeight>): Buffer {
  const tensors = [...weights].map(([name, weight]) => {
    const { dtype, shape, data } = weight.tensor();
    const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT: size } = data as Float32Array;
    return {
      name,
      dtype: DTYPES[dtype as keyof typeof DTYPES],
      shape,
      size,
      bytes: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
    };
  });
  tensors.sort((one, other) => other.size - one.size || (one.name < other.name ? -1 : 1));
  let at = 0;
  const header: Record<string, unknown> = {};
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const json = JSON.stringify(header);
  const padding = (ALIGNMENT - (Buffer.byteLength(json) % ALIGNMENT)) % ALIGNMENT;
  const text = Buffer.from(json + ' '.repeat(padding));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...tensors.map(({ bytes }) => bytes)]);
}
