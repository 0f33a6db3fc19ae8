import { compileLayersModel } from '../../src/compiler/compile.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { SIDE } from './dataset.ts';
import type { PublishedModel } from './published.ts';

/** Layers that ask where the channels stand. */
const SPATIAL = new Set(['Conv2D', 'MaxPooling2D', 'Flatten']);

/**
 * LeNet as an ONNX model: `image` [batch, 1, 28, 28] with values 0–1 gives `probabilities` [batch, 10]. The layers model
 * takes images with the channels last; told that they are first, as ONNX has them, its layers need no transpose.
 */
export function encodeOnnxModel({ layers, weights }: PublishedModel): Uint8Array {
  const channelsFirst = layers.map(({ class_name: kind, config }) => {
    if (kind === 'InputLayer') return { class_name: kind, config: { ...config, batch_input_shape: [null, 1, SIDE, SIDE] } };
    return { class_name: kind, config: SPATIAL.has(kind) ? { ...config, data_format: 'channels_first' } : config };
  });
  const topology = { class_name: 'Sequential', config: { name: 'lenet5', layers: channelsFirst } };
  return Buffer.concat(encodeOnnx(compileLayersModel(topology, weights)).model);
}
