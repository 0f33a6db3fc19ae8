import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { compileLayersModel } from '../../src/compiler/compile.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { decodeWeights } from '../../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../../src/packages/tfjs/model-file.ts';
import { readWeights } from '../../src/packages/tfjs/read-weights.ts';
import { writeModel } from './layers-models.ts';

tf.enableProdMode();

/**
 * Writes `model.onnx` of a model that takes about a millisecond for an image on one core, batched or not: it takes the images of
 * `digits` and has four convolutions of 64 filters. Its weights are random.
 */
export async function writeHeavyModel(version: string, draft: string): Promise<string> {
  const conv = { kernelSize: 3, filters: 64, padding: 'same', activation: 'relu' } as const;
  const model = sequential({
    layers: [
      layers.reshape({ targetShape: [28, 28, 1], inputShape: [1, 28, 28] }),
      ...Array.from({ length: 4 }, () => layers.conv2d(conv)),
      layers.globalAveragePooling2d({}),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  await writeModel(model, draft);
  const file = await readModelFile(draft);
  const graph = compileLayersModel(file.modelTopology, decodeWeights(await readWeights(draft, file.weightsManifest)));
  mkdirSync(version, { recursive: true });
  const path = join(version, 'model.onnx');
  writeFileSync(path, Buffer.concat(encodeOnnx(graph).model));
  return path;
}
