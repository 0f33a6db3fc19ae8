import { MODEL_FILE } from '../../packages/tfjs/model-file.ts';
import type { LayerConfig, ModelFiles, Values } from './trainer.ts';

const WEIGHTS_FILE = 'weights.bin';

/** A TF.js layers model: `model.json` and its weights, FP32 in the order given. @param weights by name, as Keras lays them out */
export function layersModelFiles(layers: readonly LayerConfig[], weights: ReadonlyMap<string, Values>): ModelFiles {
  const specs = [...weights].map(([name, { shape }]) => ({ name, shape, dtype: 'float32' }));
  const bytes = Buffer.concat([...weights.values()].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
  const json = {
    format: 'layers-model',
    generatedBy: 'slipway',
    modelTopology: { class_name: 'Sequential', config: { name: 'model', layers } },
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: specs }],
  };
  return { [MODEL_FILE]: `${JSON.stringify(json)}\n`, [WEIGHTS_FILE]: bytes };
}
