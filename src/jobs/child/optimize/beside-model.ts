import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VERSION_MANIFEST_FILE } from '../../../packages/manifest.ts';
import { modelFilesOf } from '../../../packages/model-files.ts';
import { readVersionFolder } from '../../../packages/read-version.ts';
import { SIGNATURE_FILE } from '../../../packages/signature.ts';

/**
 * Makes a version folder that has all that a version has but its model: files that belong to it whatever the model becomes,
 * and what stays true of its manifest. Its signature is of other files.
 */
export async function copyBeside(source: string, target: string): Promise<void> {
  const { files, manifest, format } = await readVersionFolder(source);
  const ofModel = new Set(await modelFilesOf(source, format, files));
  await mkdir(target, { recursive: true });
  for (const name of files) {
    if (ofModel.has(name) || name === VERSION_MANIFEST_FILE || name === SIGNATURE_FILE) continue;
    await mkdir(dirname(join(target, name)), { recursive: true });
    await copyFile(join(source, name), join(target, name));
  }
  const { files: _digests, metrics: _metrics, ...rest } = manifest;
  await writeFile(join(target, VERSION_MANIFEST_FILE), `${JSON.stringify(rest, null, 2)}\n`);
}
