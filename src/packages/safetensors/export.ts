import { SlipwayError } from '../../errors/slipway-error.ts';
import { isLayersFormat } from '../formats.ts';
import { openLayersModel } from '../layers-model.ts';
import { VERSION_MANIFEST_FILE } from '../manifest.ts';
import { type ArchiveFiles, filesOf } from '../pack.ts';
import { readVersionFolder } from '../read-version.ts';
import { SIGNATURE_FILE, type TrustedKeys } from '../signature.ts';
import { decodeWeights } from '../tfjs/decode-weights.ts';
import { MODEL_FILE } from '../tfjs/model-file.ts';
import { SAFETENSORS_FILE } from './header.ts';
import { writeSafetensors } from './write.ts';

/**
 * The files of a version with its layers in model.json and its weights in model.safetensors. Its manifest and other files
 * come along without the digests of what was replaced; its signature does not: it is of other files.
 * @param trusted whose signature it must have; undefined when it needs none
 * @throws SlipwayError NOT_SUPPORTED for what is no layers model, and for Keras files: the server itself reads no HDF5
 */
export async function safetensorsPackage(folder: string, trusted: TrustedKeys | undefined): Promise<ArchiveFiles> {
  const { format, manifest } = await readVersionFolder(folder, trusted);
  if (!isLayersFormat(format) || format === 'keras')
    throw new SlipwayError('NOT_SUPPORTED', `The version is a ${format} model; TF.js layers models alone can be had as safetensors.`);
  const model = await openLayersModel(folder, format);
  const weights = decodeWeights(await model.weights());
  const replaced = new Set([VERSION_MANIFEST_FILE, SIGNATURE_FILE, ...model.files]);
  const files = new Map([...(await filesOf(folder))].filter(([name]) => !replaced.has(name)));
  files.set(MODEL_FILE, { content: `${JSON.stringify({ ...model.about, modelTopology: model.topology })}\n` });
  files.set(SAFETENSORS_FILE, { content: writeSafetensors(weights) });
  const { files: digests = {}, ...rest } = manifest;
  const kept = Object.entries(digests).filter(([name]) => !replaced.has(name));
  files.set(VERSION_MANIFEST_FILE, {
    content: `${JSON.stringify({ ...rest, ...(kept.length > 0 && { files: Object.fromEntries(kept) }) }, null, 2)}\n`,
  });
  return files;
}
