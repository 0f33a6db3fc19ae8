import { SlipwayError } from '../../errors/slipway-error.ts';
import { decodeFp16 } from '../../tensor/float16.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { MODEL_FILE, type WeightSpec } from './model-file.ts';
import { storedBytes, type Weights } from './read-weights.ts';

/** A weight of a TF.js model; its numbers are made when they are asked for. */
export interface StoredWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** The numbers; those that lie in one shard, unquantized and aligned are not copied. @throws SlipwayError INVALID_MODEL */
  tensor(): Tensor;
}

/** Bytes of the shards one behind the other. */
function bytesBetween(shards: readonly ArrayBuffer[], start: number, end: number): Uint8Array<ArrayBuffer> {
  let before = 0;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const shard of shards) {
    const from = Math.max(start - before, 0);
    const to = Math.min(end - before, shard.byteLength);
    if (from < to) parts.push(new Uint8Array(shard, from, to - from));
    before += shard.byteLength;
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
}

/** A typed array must start at a multiple of its element size. */
function aligned(bytes: Uint8Array<ArrayBuffer>, elementBytes: number): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % elementBytes === 0 ? bytes : bytes.slice();
}

type Quantization = NonNullable<WeightSpec['quantization']>;

/** The numbers that quantized ones stand for: `value × scale + min`, or FP16. */
function dequantized(bytes: Uint8Array<ArrayBuffer>, { dtype, scale = 1, min = 0 }: Quantization): Float32Array<ArrayBuffer> {
  const source = dtype === 'uint8' ? bytes : aligned(bytes, 2);
  const stored = dtype === 'uint8' ? source : new Uint16Array(source.buffer, source.byteOffset, source.byteLength / 2);
  if (dtype === 'float16') return Float32Array.from(decodeFp16(stored as Uint16Array));
  return Float32Array.from(stored, (value) => value * scale + min);
}

function decode({ name, dtype, shape, quantization }: WeightSpec, bytes: Uint8Array<ArrayBuffer>): Tensor {
  if (dtype === 'bool') return { dtype: 'BOOL', shape, data: bytes };
  if (dtype !== 'float32' && dtype !== 'int32')
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE}: the weight "${name}" is ${dtype}; weights of layers are numbers.`);
  if (quantization !== undefined) {
    const values = dequantized(bytes, quantization);
    return dtype === 'float32'
      ? { dtype: 'FP32', shape, data: values }
      : { dtype: 'INT32', shape, data: Int32Array.from(values, Math.round) };
  }
  const { buffer, byteOffset, byteLength } = aligned(bytes, 4);
  return dtype === 'float32'
    ? { dtype: 'FP32', shape, data: new Float32Array(buffer, byteOffset, byteLength / 4) }
    : { dtype: 'INT32', shape, data: new Int32Array(buffer, byteOffset, byteLength / 4) };
}

/**
 * The weights of a TF.js model by name, without those of an optimizer.
 * @throws SlipwayError INVALID_MODEL when two have one name.
 */
export function decodeWeights({ specs, data }: Weights): ReadonlyMap<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  let start = 0;
  for (const spec of specs) {
    const bytes = storedBytes(spec);
    if (bytes === undefined)
      throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE}: the weight "${spec.name}" is of strings; weights of layers are numbers.`);
    const [from, to] = [start, start + bytes];
    start = to;
    if (spec['group'] === 'optimizer') continue;
    if (weights.has(spec.name)) throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} lists the weight "${spec.name}" twice.`);
    weights.set(spec.name, { name: spec.name, shape: spec.shape, tensor: () => decode(spec, bytesBetween(data, from, to)) });
  }
  return weights;
}
