import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { compressor } from './compression.ts';
import { createDigests, digestsBy } from './file-digest.ts';
import { isLayersFormat, type ModelFormat } from './formats.ts';
import { openLayersModel } from './layers-model.ts';
import { VERSION_MANIFEST_FILE } from './manifest.ts';
import { readVersionFolder } from './read-version.ts';
import { SIGNATURE_FILE } from './signature.ts';
import { filesOfModel, readModelFile } from './tfjs/model-file.ts';

/** By the names that ONNX tools give to a model and to the files with its weights. */
const ONNX_FILES = /^model\.onnx|\.onnx$|\.(data|bin|weights)$|_data$/;

/** As TensorFlow writes them. */
const SAVED_MODEL_FILES = /^(saved_model\.pb|keras_metadata\.pb|fingerprint\.pb|variables\/.*|assets\/.*|assets\.extra\/.*)$/;

/**
 * The files of a version that are the model itself, out of all of its files.
 * @throws SlipwayError INVALID_MODEL
 */
export async function modelFilesOf(folder: string, format: ModelFormat, files: readonly string[]): Promise<string[]> {
  if (format === 'onnx') return files.filter((name) => ONNX_FILES.test(name));
  if (format === 'saved-model') return files.filter((name) => SAVED_MODEL_FILES.test(name));
  const own = new Set(isLayersFormat(format) ? (await openLayersModel(folder, format)).files : filesOfModel(await readModelFile(folder)));
  return files.filter((name) => own.has(name));
}

/** SHA-256 of files of a folder, by their names. */
export function digestsOf(folder: string, names: readonly string[]): Promise<Record<string, string>> {
  return digestsBy(names, createDigests(folder));
}

/** SHA-256 of all files of a version but what it says of itself, by their names. @throws as `readVersionFolder` */
export async function versionDigestsOf(folder: string): Promise<Record<string, string>> {
  const { files } = await readVersionFolder(folder);
  return digestsOf(
    folder,
    files.filter((name) => name !== VERSION_MANIFEST_FILE && name !== SIGNATURE_FILE),
  );
}

/** SHA-256 of the files that are a version's model itself, by their names. @throws as `readVersionFolder` */
export async function modelDigestsOf(folder: string): Promise<Record<string, string>> {
  const { format, files } = await readVersionFolder(folder);
  return digestsOf(folder, await modelFilesOf(folder, format, files));
}

/** Bytes of the model itself, without what lies beside it: as they are, and each file compressed as in a `.slip.zst`. */
export async function modelBytes(
  folder: string,
  format: ModelFormat,
  files: readonly string[],
): Promise<{ readonly sizeBytes: number; readonly compressedBytes: number }> {
  let [sizeBytes, compressedBytes] = [0, 0];
  for (const name of await modelFilesOf(folder, format, files)) {
    const path = join(folder, name);
    sizeBytes += (await stat(path)).size;
    await pipeline(createReadStream(path), compressor(), async (chunks: AsyncIterable<Buffer>) => {
      for await (const { length } of chunks) compressedBytes += length;
    });
  }
  return { sizeBytes, compressedBytes };
}
