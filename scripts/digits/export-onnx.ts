import { compileLayersModel } from '../../src/compiler/compile.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { decodeWeights } from '../../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../../src/packages/tfjs/model-file.ts';
import { SIDE } from './dataset.ts';
import type { TfjsFiles } from './export-tfjs.ts';

interface Layer {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

interface LayersFile {
  readonly modelTopology: { readonly config: { readonly name: string; readonly layers: readonly Layer[] } };
  readonly weightsManifest: readonly [{ readonly weights: WeightSpec[] }];
}

/** Layers that ask where the channels stand. */
const SPATIAL = new Set(['Conv2D', 'MaxPooling2D', 'Flatten']);

/**
 * LeNet as an ONNX model: `image` [batch, 1, 28, 28] with values 0–1 gives `probabilities` [batch, 10]. The layers model
 * takes images with the channels last; told that they are first, as ONNX has them, its layers need no transpose.
 */
export function encodeOnnxModel(files: TfjsFiles): Uint8Array {
  const { modelTopology, weightsManifest } = JSON.parse(files['model.json']) as LayersFile;
  const { name, layers } = modelTopology.config;
  const input: Layer = { class_name: 'InputLayer', config: { name: 'image', batch_input_shape: [null, 1, SIDE, SIDE], dtype: 'float32' } };
  const channelsFirst = layers.map(({ class_name: kind, config }) => ({
    class_name: kind,
    config: SPATIAL.has(kind) ? { ...config, data_format: 'channels_first' } : config,
  }));
  const topology = { class_name: 'Sequential', config: { name, layers: [input, ...channelsFirst] } };
  const bytes = new Uint8Array(files['weights.bin']);
  const weights = decodeWeights({ specs: weightsManifest[0].weights, data: [bytes.buffer] });
  return Buffer.concat(encodeOnnx(compileLayersModel(topology, weights)).model);
}
