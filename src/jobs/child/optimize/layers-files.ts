import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayersModel } from '../../../optimization/pruning/layers-model.ts';
import { openLayersModel } from '../../../packages/layers-model.ts';
import { decodeWeights } from '../../../packages/tfjs/decode-weights.ts';
import { MODEL_FILE, type WeightSpec } from '../../../packages/tfjs/model-file.ts';
import type { Tensor } from '../../../tensor/tensor.ts';

const WEIGHTS_FILE = 'weights.bin';

/** @throws SlipwayError INVALID_MODEL */
export async function readLayersModel(folder: string): Promise<LayersModel> {
  const model = await openLayersModel(folder);
  const weights = decodeWeights(await model.weights());
  return { topology: model.topology, weights: new Map([...weights].map(([name, weight]) => [name, weight.tensor()])) };
}

/** A weight as it lies in the file. */
export interface EncodedWeight {
  readonly spec: WeightSpec;
  readonly bytes: Buffer;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** As tfjs writes it: four bytes for each number. */
export function encodePlainly(name: string, { dtype, shape, data }: Tensor): EncodedWeight {
  const types = { FP32: 'float32', INT32: 'int32', BOOL: 'bool' } as const;
  return { spec: { name, shape: [...shape], dtype: types[dtype as keyof typeof types] }, bytes: bytesOf(data as Float32Array) };
}

/** Writes model.json and its weights. What else the file says of the model comes from the file that it was made of. */
export async function writeLayersModel(
  folder: string,
  { topology, weights }: LayersModel,
  from: string,
  encode: (name: string, weight: Tensor) => EncodedWeight = encodePlainly,
): Promise<void> {
  const encoded = [...weights].map(([name, weight]) => encode(name, weight));
  const file = {
    ...(await openLayersModel(from)).about,
    modelTopology: topology,
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: encoded.map(({ spec }) => spec) }],
  };
  await writeFile(join(folder, MODEL_FILE), `${JSON.stringify(file)}\n`);
  await writeFile(join(folder, WEIGHTS_FILE), Buffer.concat(encoded.map(({ bytes }) => bytes)));
}
