import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { messageOf } from '../../errors/slipway-error.ts';
import { openZip } from '../zip.ts';
import { type ConvertedModel, convertModelConfig } from './convert-model.ts';
import { damaged, isFields } from './keras-object.ts';

/** A model as `model.save('model.keras')` writes it, or its parts unpacked. */
export const KERAS_FILE = 'model.keras';
export const KERAS_WEIGHTS_FILE = 'model.weights.h5';
const CONFIG_FILE = 'config.json';
const METADATA_FILE = 'metadata.json';

/** The layers of a model; one that is larger is something else. */
const MAX_CONFIG_BYTES = 64 * 1024 * 1024;

/** Reads a part of the model. @throws SlipwayError INVALID_MODEL when there is none, or it is larger */
type ReadPart = (name: string, maxBytes: number) => Promise<Uint8Array>;

async function readBytes(content: Readable, name: string): Promise<Uint8Array> {
  try {
    return await buffer(content);
  } catch (error) {
    throw damaged(`its ${name} is damaged: ${messageOf(error)}`);
  }
}

/**
 * Parts of the archive. Keras stores them as they are; compressed ones are refused, so that no part is larger than the file.
 */
function partsOfArchive(path: string): ReadPart {
  return async (wanted, maxBytes) => {
    const zip = await openZip(path);
    try {
      for await (const { name, bytes, compressed, open } of zip.entries()) {
        if (name !== wanted) continue;
        if (compressed)
          throw damaged(`${wanted} is compressed in ${KERAS_FILE}, which Keras does not do; unpack the archive into the version folder`);
        if (bytes > maxBytes) throw damaged(`${wanted} has ${bytes} bytes; at most ${maxBytes} are taken`);
        return await readBytes(await open(), wanted);
      }
    } finally {
      zip.close();
    }
    throw damaged(`${KERAS_FILE} holds no ${wanted}`);
  };
}

function partsOfFolder(folder: string): ReadPart {
  return async (name, maxBytes) => {
    const { size } = await stat(join(folder, name)).catch(() => {
      throw damaged(`the version folder holds no ${name} beside the other parts of a .keras file`);
    });
    if (size > maxBytes) throw damaged(`${name} has ${size} bytes; at most ${maxBytes} are taken`);
    return readFile(join(folder, name));
  };
}

async function readJson(read: ReadPart, name: string): Promise<unknown> {
  const bytes = await read(name, MAX_CONFIG_BYTES);
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch (error) {
    throw damaged(`${name} is not valid JSON: ${messageOf(error)}`);
  }
}

/** Files of Keras 2 have other names for weights and other configs. */
function checkVersion(metadata: unknown): void {
  const version = isFields(metadata) ? metadata['keras_version'] : undefined;
  if (typeof version === 'string' && version.startsWith('3.')) return;
  throw damaged(
    `it was written by Keras ${typeof version === 'string' ? version : 'of an unknown version'}; load it and save it with Keras 3`,
  );
}

export interface KerasModel extends ConvertedModel {
  /** Paths in the version folder. */
  readonly files: readonly string[];
  /** The content of model.weights.h5. */
  weightsFile(): Promise<Uint8Array>;
}

/**
 * Opens the Keras 3 model of a version folder: `model.keras`, or what it holds.
 * @param names of the files in the folder
 * @throws SlipwayError INVALID_MODEL, ENGINE_UNAVAILABLE as `convertModelConfig`
 */
export async function openKerasModel(folder: string, names: readonly string[]): Promise<KerasModel> {
  const isArchive = names.includes(KERAS_FILE);
  const read = isArchive ? partsOfArchive(join(folder, KERAS_FILE)) : partsOfFolder(folder);
  checkVersion(await readJson(read, METADATA_FILE));
  return {
    ...convertModelConfig(await readJson(read, CONFIG_FILE)),
    files: isArchive ? [KERAS_FILE] : [CONFIG_FILE, METADATA_FILE, KERAS_WEIGHTS_FILE],
    weightsFile: () => read(KERAS_WEIGHTS_FILE, Infinity),
  };
}
