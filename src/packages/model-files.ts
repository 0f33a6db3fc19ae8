import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFormat } from './formats.ts';
import { MODEL_FILE, readModelFile } from './tfjs/model-file.ts';

/** By the names that ONNX tools give to a model and to the files with its weights. */
const ONNX_FILES = /^model\.onnx|\.onnx$|\.(data|bin|weights)$|_data$/;

/**
 * The files of a version that are the model itself, out of all of its files.
 * @throws SlipwayError INVALID_MODEL
 */
export async function modelFilesOf(folder: string, format: ModelFormat, files: readonly string[]): Promise<string[]> {
  if (format === 'onnx') return files.filter((name) => ONNX_FILES.test(name));
  const { weightsManifest } = await readModelFile(folder);
  const own = new Set([MODEL_FILE, ...weightsManifest.flatMap(({ paths }) => paths)]);
  return files.filter((name) => own.has(name));
}

/** Bytes of the model itself, without what lies beside it. */
export async function modelBytes(folder: string, format: ModelFormat, files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const name of await modelFilesOf(folder, format, files)) bytes += (await stat(join(folder, name))).size;
  return bytes;
}
