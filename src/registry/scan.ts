import { hasCode } from '../errors/has-code.ts';
import { createHash } from 'node:crypto';
import type { Dirent, Stats } from 'node:fs';
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

/** The same names, those of models that have a slipway-model.json first. */
export async function withSettingsFirst(repository: string, names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    names.map(async (name) => (await fingerprintFile(join(repository, name, MODEL_MANIFEST_FILE))) !== undefined),
  );
  return [...names.filter((_name, at) => found[at]), ...names.filter((_name, at) => !found[at])];
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

/** The files of a folder at one moment. */
export interface FolderState {
  /** A digest of the names, sizes, modification times and inodes of all files: it changes when they do. */
  readonly fingerprint: string;
  /** Of all files. */
  readonly bytes: number;
}

/**
 * Looks at all files of a folder without a read of one. Undefined when the folder holds no file, or is not there. Links
 * are followed, but links to folders are not entered, since they may lead in a circle.
 * @throws what the file system says when it fails for a reason of its own.
 */
export async function inspectFolder(folder: string): Promise<FolderState | undefined> {
  const lines: string[] = [];
  let files = 0;
  let bytes = 0;

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
        if (isShown(entry)) files += 1;
        const found = await statFile(join(path, entry.name));
        bytes += found?.size ?? 0;
        lines.push(`${name}\0${found === undefined ? 'gone' : fingerprintOf(found)}`);
      }
    }
  }

  await walk(folder, '');
  if (files === 0) return undefined;
  return { fingerprint: createHash('sha256').update(lines.toSorted().join('\n')).digest('hex'), bytes };
}

/** Whether `inspectFolder` would find a file, at the cost of one listing for most folders. */
export async function holdsFile(folder: string): Promise<boolean> {
  try {
    const entries = (await entriesOf(folder)) ?? [];
    if (entries.some((entry) => !entry.isDirectory() && isShown(entry))) return true;
    for (const entry of entries) if (entry.isDirectory() && (await holdsFile(join(folder, entry.name)))) return true;
    return false;
  } catch (error) {
    if (hasCode(error, 'EACCES')) return true;
    throw error;
  }
}

function isShown({ name }: Dirent): boolean {
  return !name.startsWith('.');
}

/** Size, modification time and inode of a file; undefined when it is not there, or is a link that leads nowhere. */
export async function fingerprintFile(path: string): Promise<string | undefined> {
  const found = await statFile(path);
  return found === undefined ? undefined : fingerprintOf(found);
}

function fingerprintOf({ size, mtimeMs, ino }: Stats): string {
  return `${size} ${mtimeMs} ${ino}`;
}

async function statFile(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
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
