import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { layers, type LayersModel, sequential } from '@tensorflow/tfjs-layers';
import { TokenAndPositionEmbedding } from '../../src/engines/tfjs/layers/positions.ts';
import { registerLayers } from '../../src/engines/tfjs/layers/register.ts';
import { TransformerEncoder } from '../../src/engines/tfjs/layers/transformer.ts';

tf.enableProdMode();

const SEQUENCE = 64;
const WORDS = 1_000;

function lenet(): LayersModel {
  const conv = { kernelSize: 5, activation: 'relu' as const };
  return sequential({
    layers: [
      layers.conv2d({ ...conv, filters: 6, padding: 'same', inputShape: [28, 28, 1], name: 'image' }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({ ...conv, filters: 16 }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 120, activation: 'relu' }),
      layers.dense({ units: 84, activation: 'relu' }),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
}

/** An LSTM classifier: sequences of 64 steps of 32 numbers, 128 units. */
function lstm(): LayersModel {
  return sequential({
    layers: [
      layers.lstm({ units: 128, recurrentActivation: 'sigmoid', recurrentInitializer: 'glorotNormal', inputShape: [SEQUENCE, 32] }),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
}

/** A Transformer encoder for texts of 64 words: 4 layers, 128 wide, 4 heads, 512 between. */
function transformer(): LayersModel {
  registerLayers();
  const block = (): TransformerEncoder => new TransformerEncoder({ numHeads: 4, intermediateDim: 512, normalizeFirst: true });
  return sequential({
    layers: [
      new TokenAndPositionEmbedding({ vocabularySize: WORDS, sequenceLength: SEQUENCE, embeddingDim: 128, inputShape: [SEQUENCE] }),
      block(),
      block(),
      block(),
      block(),
      layers.globalAveragePooling1d({}),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
}

export interface BenchModel {
  readonly title: string;
  readonly make: () => LayersModel;
  /** Numbers of one example. */
  readonly example: (index: number) => number;
  readonly shape: readonly number[];
}

/** The three models that compiling is measured by. Their weights are random. */
export const BENCH_MODELS: Readonly<Record<string, BenchModel>> = {
  lenet: { title: 'LeNet, 28×28', make: lenet, shape: [28, 28, 1], example: (index) => ((index * 37) % 256) / 256 },
  lstm: { title: 'LSTM 128, 64 steps of 32', make: lstm, shape: [SEQUENCE, 32], example: (index) => ((index * 37) % 200) / 100 - 1 },
  transformer: {
    title: 'Transformer encoder, 4 × 128, 64 words',
    make: transformer,
    shape: [SEQUENCE],
    example: (index) => (index * 37) % WORDS,
  },
};

/** Writes a model as a version folder. */
export async function writeModel(model: LayersModel, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await model.save({
    async save({ modelTopology, weightSpecs, weightData }) {
      const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
      writeFileSync(join(folder, 'model.json'), JSON.stringify({ format: 'layers-model', modelTopology, weightsManifest }));
      writeFileSync(join(folder, 'weights.bin'), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
}
