import { SlipwayError } from '../errors/slipway-error.ts';
import { sha256Of } from '../packages/file-digest.ts';
import { isLayersFormat } from '../packages/formats.ts';
import { openLayersModel } from '../packages/layers-model.ts';
import { VERSION_MANIFEST_FILE } from '../packages/manifest.ts';
import { type ArchiveFiles, filesOf } from '../packages/pack.ts';
import { readVersionFolder } from '../packages/read-version.ts';
import { SIGNATURE_FILE, type TrustedKeys } from '../packages/signature.ts';
import type { CompiledModels } from './compiled-models.ts';
import { RECORD_FILE } from './record.ts';

/**
 * The files of a version as an ONNX model: a layers model is compiled, and its manifest and other files come along. Its
 * signature does not: it is of other files.
 * @param trusted whose signature it must have; undefined when it needs none
 * @throws SlipwayError COMPILE_FAILED when it cannot be, and what else keeps the folder from being read
 */
export async function onnxPackage(folder: string, models: CompiledModels, trusted: TrustedKeys | undefined): Promise<ArchiveFiles> {
  const { format, manifest } = await readVersionFolder(folder, trusted);
  const own = await filesOf(folder);
  if (format === 'onnx') return own;
  if (!isLayersFormat(format))
    throw new SlipwayError('COMPILE_FAILED', `The version is a ${format} model; layers models alone can be compiled to ONNX.`);
  const compiled = await models.compiled(folder, 1);
  if (compiled.folder === undefined) throw new SlipwayError('COMPILE_FAILED', `${compiled.refusal}.`);

  const replaced = new Set([VERSION_MANIFEST_FILE, SIGNATURE_FILE, ...(await openLayersModel(folder, format)).files]);
  const files = new Map([...own].filter(([name]) => !replaced.has(name)));
  for (const [name, file] of await filesOf(compiled.folder)) if (name !== RECORD_FILE) files.set(name, file);
  const digests: Record<string, string> = {};
  for (const [name, file] of files) if ('path' in file) digests[name] = await sha256Of(file.path);
  const { engine: _engine, ...rest } = manifest;
  files.set(VERSION_MANIFEST_FILE, { content: `${JSON.stringify({ ...rest, files: digests }, null, 2)}\n` });
  return files;
}
