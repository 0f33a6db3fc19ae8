import { hasCode } from '../errors/has-code.ts';
import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL_MANIFEST_FILE } from '../packages/manifest.ts';

/** Prefix of the hidden name that a version folder takes before it is deleted. */
export const REMOVED_PREFIX = '.slipway-removed-';

/** What a model folder holds. */
export interface ModelListing {
  /** Absolute paths of the version folders, by version. */
  readonly versions: ReadonlyMap<number, string>;
  /** Changes whenever slipway-model.json does; undefined when there is none. */
  readonly manifestFingerprint: string | undefined;
  /** Absolute paths of folders whose deletion was cut short. */
  readonly leftovers: readonly string[];
  /** Names of files and folders that mean nothing here; hidden ones are left out. */
  readonly others: readonly string[];
}

/** The version that a folder name stands for: a positive integer without leading zeros; else undefined. */
export function parseVersionFolder(name: string): number | undefined {
  if (!/^[1-9][0-9]*$/.test(name)) return undefined;
  const version = Number(name);
  return Number.isSafeInteger(version) ? version : undefined;
}

/** Names of the folders in the model repository, in order; links to folders count, hidden ones do not. */
export async function listModelFolders(repository: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const entry of await readdir(repository, { withFileTypes: true })) {
    if (!entry.name.startsWith('.') && (await isFolder(repository, entry))) names.push(entry.name);
  }
  return names.toSorted();
}

/**
 * Lists a model folder; undefined when it is not there.
 * @throws what the file system says when the folder is there but can't be read.
 */
export async function listVersionFolders(modelFolder: string): Promise<ModelListing | undefined> {
  const entries = await entriesOf(modelFolder);
  if (entries === undefined) return undefined;
  const versions = new Map<number, string>();
  const leftovers: string[] = [];
  const others: string[] = [];
  let manifestFingerprint: string | undefined;
  for (const entry of entries) {
    const path = join(modelFolder, entry.name);
    const version = parseVersionFolder(entry.name);
    if (version !== undefined) {
      if (await isFolder(modelFolder, entry)) versions.set(version, path);
      else others.push(entry.name);
    } else if (entry.name === MODEL_MANIFEST_FILE) {
      manifestFingerprint = await fingerprintFile(path);
    } else if (entry.name.startsWith(REMOVED_PREFIX)) {
      leftovers.push(path);
    } else if (!entry.name.startsWith('.')) others.push(entry.name);
  }
  return { versions, manifestFingerprint, leftovers, others: others.toSorted() };
}

/**
 * A digest of the names, sizes, modification times and inodes of all files in a folder: it changes when they do, and
 * costs no read of a file. Undefined when the folder holds no file, or is not there. Links are followed, but links
 * to folders are not entered, since they may lead in a circle.
 * @throws what the file system says when it fails for a reason of its own.
 */
export async function fingerprintFolder(folder: string): Promise<string | undefined> {
  const lines: string[] = [];
  let files = 0;

  async function walk(path: string, relative: string): Promise<void> {
    const entries = await entriesOf(path).catch((error: unknown) => {
      if (!hasCode(error, 'EACCES')) throw error;
      files += 1; // a forbidden folder is still one: loading it will say what is wrong
      lines.push(`${relative}\0forbidden`);
    });
    for (const entry of entries ?? []) {
      const name = `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        await walk(join(path, entry.name), name);
      } else {
        if (!entry.name.startsWith('.')) files += 1;
        lines.push(`${name}\0${(await fingerprintFile(join(path, entry.name))) ?? 'gone'}`);
      }
    }
  }

  await walk(folder, '');
  if (files === 0) return undefined;
  return createHash('sha256').update(lines.toSorted().join('\n')).digest('hex');
}

/** Bytes of all files in a folder; what can't be looked at counts nothing. Links to folders are not entered. */
export async function bytesOfFolder(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of (await entriesOf(folder).catch(() => undefined)) ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesOfFolder(path);
    else bytes += (await stat(path).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

/** Size, modification time and inode of a file; undefined when it is not there, or is a link that leads nowhere. */
export async function fingerprintFile(path: string): Promise<string | undefined> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${size} ${mtimeMs} ${ino}`;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined;
    throw error;
  }
}

async function entriesOf(folder: string): Promise<readonly Dirent[] | undefined> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function isFolder(parent: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const target = await stat(join(parent, entry.name)).catch(() => undefined);
  return target?.isDirectory() ?? false;
}
