import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KERAS_FILE, KERAS_WEIGHTS_FILE } from './keras/keras-file.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { SAFETENSORS_FILE } from './safetensors/header.ts';

/** The model formats that a version folder can hold. */
export const MODEL_FORMATS = ['onnx', 'tfjs-layers', 'tfjs-graph', 'saved-model', 'keras', 'safetensors'] as const;
export type ModelFormat = (typeof MODEL_FORMATS)[number];

const ONNX_FILE = 'model.onnx';
const TFJS_FILE = 'model.json';
const SAVED_MODEL_FILE = 'saved_model.pb';
const MODEL_FILES = [ONNX_FILE, TFJS_FILE, SAVED_MODEL_FILE, KERAS_FILE, KERAS_WEIGHTS_FILE] as const;

/** Formats of models that are lists of layers and their weights, so that the same can be done with them. */
export const LAYERS_FORMATS = ['tfjs-layers', 'keras', 'safetensors'] as const;
export type LayersFormat = (typeof LAYERS_FORMATS)[number];

export function isLayersFormat(format: ModelFormat): format is LayersFormat {
  return (LAYERS_FORMATS as readonly ModelFormat[]).includes(format);
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `format` says which kind of TF.js model it is; files of early converters lack it, but their topologies differ. */
async function tfjsFormat(file: string, hasSafetensors: boolean): Promise<ModelFormat> {
  let model: unknown;
  try {
    model = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${TFJS_FILE} is not valid JSON: ${messageOf(error)}.`);
  }
  if (isFields(model)) {
    const { weightsManifest } = model;
    const hasWeights = Array.isArray(weightsManifest) && weightsManifest.length > 0;
    if (hasSafetensors && !hasWeights) return 'safetensors';
    if (model['format'] === 'layers-model') return 'tfjs-layers';
    if (model['format'] === 'graph-model') return 'tfjs-graph';
    const topology = model['modelTopology'];
    if (isFields(topology)) {
      if ('node' in topology) return 'tfjs-graph';
      if ('model_config' in topology || 'class_name' in topology) return 'tfjs-layers';
    }
  }
  throw new SlipwayError('INVALID_MODEL', `${TFJS_FILE} is neither a TF.js layers model nor a TF.js graph model.`);
}

/**
 * The format of the model in a version folder.
 * @throws SlipwayError INVALID_MODEL when there is none or more than one.
 */
export async function detectFormat(folder: string): Promise<ModelFormat> {
  const names = await readdir(folder);
  const found = MODEL_FILES.filter((name) => names.includes(name));
  if (found.length > 1) throw new SlipwayError('INVALID_MODEL', `The version folder holds ${found.join(' and ')}; a version is one model.`);
  switch (found[0]) {
    case ONNX_FILE:
      return 'onnx';
    case TFJS_FILE:
      return tfjsFormat(join(folder, TFJS_FILE), names.includes(SAFETENSORS_FILE));
    case SAVED_MODEL_FILE:
      return 'saved-model';
    case KERAS_FILE:
    case KERAS_WEIGHTS_FILE:
      return 'keras';
    default:
      if (names.includes(SAFETENSORS_FILE))
        throw new SlipwayError(
          'INVALID_MODEL',
          `The version folder holds ${SAFETENSORS_FILE}, which is weights alone; put the layers that they are for beside it, as ${TFJS_FILE}.`,
        );
      throw new SlipwayError('INVALID_MODEL', `The version folder holds none of ${MODEL_FILES.join(', ')}.`);
  }
}
