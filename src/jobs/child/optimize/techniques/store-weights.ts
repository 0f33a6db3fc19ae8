import { isLayersFormat } from '../../../../packages/formats.ts';
import type { WeightSpec } from '../../../../packages/tfjs/model-file.ts';
import { encodeFp16, MOST_FP16 } from '../../../../tensor/float16.ts';
import type { Tensor } from '../../../../tensor/tensor.ts';
import { type EncodedWeight, encodePlainly, readLayersModel, writeLayersModel } from '../layers-files.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

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

function encode(name: string, tensor: Tensor, dtype: Stored): EncodedWeight {
  if (tensor.dtype !== 'FP32') return encodePlainly(name, tensor);
  const values = tensor.data as Float32Array;
  const { quantization, stored }: { quantization: WeightSpec['quantization']; stored: Uint8Array | Uint16Array } =
    dtype === 'float16' ? { quantization: { dtype }, stored: encodeFp16(values) } : affine(values, dtype);
  return {
    spec: { name, shape: [...tensor.shape], dtype: 'float32', quantization },
    bytes: Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength),
  };
}

/** @throws SlipwayError TECHNIQUE_INAPPLICABLE when a weight would become infinite */
function assertInRange(weights: Awaited<ReturnType<typeof readLayersModel>>['weights']): void {
  for (const [name, { dtype, data }] of weights) {
    if (dtype !== 'FP32') continue;
    for (const value of data as Float32Array) {
      if (Math.abs(value) > MOST_FP16) throw inapplicable(`the weight ${name} has the value ${value}; FP16 ends at ${MOST_FP16}`);
    }
  }
}

/** The weights of a TF.js model in fewer bits, as the TensorFlow.js converter stores them: value × scale + min, or FP16. */
export const storeWeights: ApplyTechnique = async ({ kind }, { folder, format }, { target }) => {
  if (!isLayersFormat(format)) throw inapplicable(`it is a ${format} model; the weights of layers models alone are stored so`);
  const dtype = kind.slice('weights-'.length) as Stored;
  const model = await readLayersModel(folder);
  if (dtype === 'float16') assertInRange(model.weights);
  await writeLayersModel(target, model, folder, (name, tensor) => encode(name, tensor, dtype));
  return { note: `weights are stored as ${dtype} and computed with as FP32` };
};
