import { readdir } from 'node:fs/promises';
import { SlipwayError } from '../errors/slipway-error.ts';
import { detectFormat, isLayersFormat, type LayersFormat } from './formats.ts';
import { openKerasModel } from './keras/keras-file.ts';
import { SAFETENSORS_FILE } from './safetensors/header.ts';
import { readLayersFile } from './safetensors/layers-file.ts';
import { readSafetensors, tensorNames } from './safetensors/read-weights.ts';
import { filesOfModel, MODEL_FILE, readModelFile } from './tfjs/model-file.ts';
import { readWeights, type Weights } from './tfjs/read-weights.ts';

/** A list of layers with their weights, whatever files it is in. */
export interface LayersModelFiles {
  readonly format: LayersFormat;
  /** The layers as `modelTopology` of a model.json says them. */
  readonly topology: Readonly<Record<string, unknown>>;
  /** What else is said of the model beside its layers and weights, as fields of a model.json. */
  readonly about: Readonly<Record<string, unknown>>;
  /** As TF.js names them. */
  readonly weightNames: readonly string[];
  /** The model's own files, by their paths in the version folder. */
  readonly files: readonly string[];
  /** Reads all weights. @throws SlipwayError INVALID_MODEL, ENGINE_UNAVAILABLE */
  weights(): Promise<Weights>;
}

async function openTfjsModel(folder: string): Promise<LayersModelFiles> {
  const file = await readModelFile(folder);
  const { modelTopology, weightsManifest, ...about } = file;
  return {
    format: 'tfjs-layers',
    topology: modelTopology,
    about,
    weightNames: weightsManifest.flatMap(({ weights }) => weights.map(({ name }) => name)),
    files: filesOfModel(file),
    weights: () => readWeights(folder, weightsManifest),
  };
}

async function openKeras(folder: string): Promise<LayersModelFiles> {
  const model = await openKerasModel(folder, await readdir(folder));
  return {
    format: 'keras',
    topology: model.topology,
    about: { format: 'layers-model' },
    weightNames: model.weights.map(({ name }) => name),
    files: model.files,
    // It reads HDF5, which models of other formats do not need.
    weights: async () => (await import('./keras/read-weights.ts')).readKerasWeights(model),
  };
}

async function openSafetensors(folder: string): Promise<LayersModelFiles> {
  const { topology, about, weightNames } = await readLayersFile(folder);
  return {
    format: 'safetensors',
    topology,
    about,
    weightNames: weightNames ?? (await tensorNames(folder)),
    files: [MODEL_FILE, SAFETENSORS_FILE],
    weights: () => readSafetensors(folder, weightNames),
  };
}

const OPEN: Readonly<Record<LayersFormat, (folder: string) => Promise<LayersModelFiles>>> = {
  'tfjs-layers': openTfjsModel,
  keras: openKeras,
  safetensors: openSafetensors,
};

/**
 * Opens the layers model of a version folder. Its weights are read when they are asked for.
 * @param known its format; found out when left out
 * @throws SlipwayError INVALID_MODEL for what is missing, damaged or no layers model, ENGINE_UNAVAILABLE for layers that
 *   there are none for here
 */
export async function openLayersModel(folder: string, known?: LayersFormat): Promise<LayersModelFiles> {
  const format = known ?? (await detectFormat(folder));
  if (!isLayersFormat(format)) throw new SlipwayError('INVALID_MODEL', `The version is a ${format} model, which is no list of layers.`);
  return OPEN[format](folder);
}
