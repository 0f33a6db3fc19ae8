import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { convertModelConfig } from '../keras/convert-model.ts';
import { type Fields, isFields } from '../keras/keras-object.ts';
import { MODEL_FILE } from '../tfjs/model-file.ts';
import { SAFETENSORS_FILE } from './header.ts';

/** The layers that weights in a safetensors file are for. */
export interface LayersFile {
  /** As `modelTopology` of a model.json. */
  readonly topology: Fields;
  /** What else the file says. */
  readonly about: Fields;
  /** Names of the layers' weights; undefined where the file does not come from Keras 3, and the engine finds out. */
  readonly weightNames: readonly string[] | undefined;
}

function invalid(problem: string, cause?: unknown): SlipwayError {
  return new SlipwayError('INVALID_MODEL', `${MODEL_FILE}, which says the layers for ${SAFETENSORS_FILE}, ${problem}.`, { cause });
}

/**
 * Reads the model.json beside a safetensors file: what Keras 3 gives for `model.to_json()`, or a TF.js layers model without
 * weights of its own.
 * @throws SlipwayError INVALID_MODEL, ENGINE_UNAVAILABLE as `convertModelConfig`
 */
export async function readLayersFile(folder: string): Promise<LayersFile> {
  let file: unknown;
  try {
    file = JSON.parse(await readFile(join(folder, MODEL_FILE), 'utf8'));
  } catch (error) {
    throw invalid(`cannot be read: ${messageOf(error).replace(/\.$/, '')}`, error);
  }
  if (!isFields(file)) throw invalid('is no JSON object');
  if (typeof file['class_name'] === 'string') {
    const { topology, weights } = convertModelConfig(file);
    return { topology, about: { format: 'layers-model' }, weightNames: weights.map(({ name }) => name) };
  }
  const { modelTopology, weightsManifest: _none, ...about } = file;
  if (!isFields(modelTopology)) throw invalid('is neither a model of Keras 3 as JSON nor a TF.js layers model');
  return { topology: modelTopology, about, weightNames: undefined };
}
