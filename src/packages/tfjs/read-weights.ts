import { readFile } from 'node:fs/promises';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { fileInside } from '../file-inside.ts';
import { MODEL_FILE, type ModelFile, type WeightSpec } from './model-file.ts';

/** Bytes of one value on disk. Strings carry their own lengths. */
const BYTES_PER_VALUE = { float32: 4, int32: 4, bool: 1, complex64: 8, uint8: 1, uint16: 2, float16: 2 } as const;

export interface Weights {
  readonly specs: readonly WeightSpec[];
  /** One buffer for each shard; together they are the weights in the order of `specs`. */
  readonly data: readonly ArrayBuffer[];
}

function invalid(message: string, cause?: unknown): SlipwayError {
  return new SlipwayError('INVALID_MODEL', message, { cause });
}

async function readShard(folder: string, path: string): Promise<ArrayBuffer> {
  const file = await fileInside(folder, path, { what: 'weight file', namedBy: MODEL_FILE });
  try {
    const bytes = await readFile(file);
    // tfjs takes whole ArrayBuffers; a small Buffer may be a slice of Node's pool.
    if (bytes.byteLength === bytes.buffer.byteLength) return bytes.buffer;
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  } catch (error) {
    throw invalid(`The weight file "${path}" is missing or cannot be read; ${MODEL_FILE} names it.`, error);
  }
}

/** Bytes that a weight takes on disk; undefined for strings, whose lengths stand in the data. */
export function storedBytes({ dtype, quantization, shape }: WeightSpec): number | undefined {
  const stored = quantization?.dtype ?? dtype;
  if (stored === 'string') return undefined;
  return shape.reduce((product, size) => product * size, 1) * BYTES_PER_VALUE[stored];
}

function expectedBytes(weights: readonly WeightSpec[]): number | undefined {
  const sizes = weights.map(storedBytes);
  return sizes.includes(undefined) ? undefined : sizes.reduce<number>((total, bytes) => total + bytes!, 0);
}

/**
 * Reads the weights that `model.json` lists.
 * @throws SlipwayError INVALID_MODEL naming the file, when one is missing, lies elsewhere or has the wrong size.
 */
export async function readWeights(folder: string, manifest: ModelFile['weightsManifest']): Promise<Weights> {
  const specs: WeightSpec[] = [];
  const data: ArrayBuffer[] = [];
  for (const { paths, weights } of manifest) {
    const shards: ArrayBuffer[] = [];
    for (const path of paths) shards.push(await readShard(folder, path));
    const actual = shards.reduce((total, shard) => total + shard.byteLength, 0);
    const expected = expectedBytes(weights);
    if (expected !== undefined && actual !== expected) {
      const files = paths.map((path, index) => `"${path}" (${shards[index]!.byteLength} bytes)`).join(', ');
      throw invalid(
        `The weight ${paths.length === 1 ? 'file' : 'files'} ${files} must have ${expected} bytes in all for the weights in ${MODEL_FILE}, not ${actual}.`,
      );
    }
    specs.push(...weights);
    data.push(...shards);
  }
  return { specs, data };
}
