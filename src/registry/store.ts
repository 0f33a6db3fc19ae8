import { hasCode, isStorageFull } from '../errors/has-code.ts';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../errors/slipway-error.ts';
import { exists } from '../packages/exists.ts';
import { MODEL_MANIFEST_FILE } from '../packages/manifest.ts';
import { readVersionFolder } from '../packages/read-version.ts';
import type { TrustedKeys } from '../packages/signature.ts';
import { parseVersionFolder, REMOVED_PREFIX } from './scan.ts';

/**
 * Renames a prepared folder into a model folder, which is made when it is not there. Without a version it takes the
 * one after the highest on disk.
 * @returns the version.
 * @throws SlipwayError VERSION_EXISTS, STORAGE_FULL.
 */
export async function placeVersion(
  model: string,
  modelFolder: string,
  version: number | undefined,
  preparedFolder: string,
): Promise<number> {
  try {
    await mkdir(modelFolder, { recursive: true });
    const number = version ?? (await highestVersion(modelFolder)) + 1;
    const target = join(modelFolder, String(number));
    // A rename would replace an empty folder, so it is asked for first.
    if (await exists(target)) throw alreadyThere(model, number);
    await rename(preparedFolder, target);
    return number;
  } catch (error) {
    await rmdir(modelFolder).catch(() => undefined); // only succeeds when it is empty
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw alreadyThere(model, version);
    if (isStorageFull(error)) {
      throw new SlipwayError('STORAGE_FULL', `There is no room on the disk for a version of model "${model}".`, { cause: error });
    }
    throw error;
  }
}

/**
 * Copies a version folder, as a whole or not at all, unless the copy is there already: the version may be deleted or changed
 * meanwhile. It is verified before, so that no link in it leads to what lies elsewhere, and the copy is verified, as before a load.
 * @param folderOf where it lies; asked only when it is to be copied
 * @throws SlipwayError as `readVersionFolder`
 */
export async function copyVersion(folderOf: () => string, target: string, trusted: TrustedKeys | undefined): Promise<void> {
  if (await exists(target)) return;
  const draft = `${target}.draft`;
  await rm(draft, { recursive: true, force: true });
  const folder = folderOf();
  await readVersionFolder(folder, trusted);
  await cp(folder, draft, { recursive: true, dereference: true });
  await readVersionFolder(draft, trusted);
  await rename(draft, target);
}

/**
 * Deletes a version folder so that it is never half there: it takes a hidden name first. A link is deleted, not what
 * it leads to. One that is gone already is fine.
 */
export async function deleteVersion(modelFolder: string, version: number): Promise<void> {
  const hidden = join(modelFolder, `${REMOVED_PREFIX}${version}-${randomUUID()}`);
  try {
    await rename(join(modelFolder, String(version)), hidden);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  await rm(hidden, { recursive: true, force: true });
}

/** Deletes a model folder that holds nothing but its slipway-model.json; one with other files stays as it is. */
export async function deleteEmptyModel(modelFolder: string): Promise<void> {
  const names = await readdir(modelFolder).catch(() => []);
  if (names.some((name) => name !== MODEL_MANIFEST_FILE)) return;
  await unlink(join(modelFolder, MODEL_MANIFEST_FILE)).catch(() => undefined);
  await rmdir(modelFolder).catch(() => undefined); // a file may have come meanwhile, or it is a link
}

async function highestVersion(modelFolder: string): Promise<number> {
  let highest = 0;
  for (const name of await readdir(modelFolder)) highest = Math.max(highest, parseVersionFolder(name) ?? 0);
  return highest;
}

function alreadyThere(model: string, version: number | undefined): SlipwayError {
  const which = version === undefined ? 'That version' : `Version ${version}`;
  return new SlipwayError('VERSION_EXISTS', `${which} of model "${model}" is there already; versions are never overwritten.`);
}
