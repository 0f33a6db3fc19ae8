import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeWeights } from '../../../../packages/tfjs/decode-weights.ts';
import { MODEL_FILE, readModelFile, type WeightSpec } from '../../../../packages/tfjs/model-file.ts';
import { readWeights } from '../../../../packages/tfjs/read-weights.ts';
import { encodeFp16 } from '../../../../tensor/float16.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

const WEIGHTS_FILE = 'weights.bin';
const LEVELS = { uint8: 255, uint16: 65_535 } as const;

type Stored = 'uint8' | 'uint16' | 'float16';

/** The range is widened to hold 0, and moved so that one level is 0: pruned weights and padding stay 0 to the bit. */
function affine(values: Float32Array, dtype: 'uint8' | 'uint16') {
  let [min, max] = [0, 0];
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const levels = LEVELS[dtype];
  const scale = max > min ? (max - min) / levels : 1;
  const zero = Math.round(-min / scale);
  const stored = dtype === 'uint8' ? new Uint8Array(values.length) : new Uint16Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    stored[index] = Math.min(levels, Math.max(0, Math.round(values[index]! / scale) + zero));
  }
  return { quantization: { dtype, scale, min: -zero * scale }, stored };
}

function encode(values: Float32Array, dtype: Stored): { readonly quantization: WeightSpec['quantization']; readonly bytes: Buffer } {
  const { quantization, stored } = dtype === 'float16' ? { quantization: { dtype }, stored: encodeFp16(values) } : affine(values, dtype);
  return { quantization, bytes: Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength) };
}

/** The weights of a TF.js model in fewer bits, as the TensorFlow.js converter stores them: value × scale + min, or FP16. */
export const storeWeights: ApplyTechnique = async ({ kind }, { folder, format }, { target }) => {
  if (format === 'onnx') throw inapplicable('it is an ONNX model; only the files of TF.js models can hold weights so');
  const dtype = kind.slice('weights-'.length) as Stored;
  const file = await readModelFile(folder);
  const weights = decodeWeights(await readWeights(folder, file.weightsManifest));
  const parts: Buffer[] = [];
  const specs: WeightSpec[] = [];
  for (const { name, shape, tensor } of weights.values()) {
    const { dtype: own, data } = tensor();
    if (own === 'FP32') {
      const { quantization, bytes } = encode(data as Float32Array, dtype);
      specs.push({ name, shape: [...shape], dtype: 'float32', quantization });
      parts.push(bytes);
    } else {
      const values = data as Int32Array | Uint8Array;
      specs.push({ name, shape: [...shape], dtype: own === 'INT32' ? 'int32' : 'bool' });
      parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    }
  }
  await writeFile(
    join(target, MODEL_FILE),
    `${JSON.stringify({ ...file, weightsManifest: [{ paths: [WEIGHTS_FILE], weights: specs }] })}\n`,
  );
  await writeFile(join(target, WEIGHTS_FILE), Buffer.concat(parts));
  return `weights are stored as ${dtype} and computed with as FP32`;
};
