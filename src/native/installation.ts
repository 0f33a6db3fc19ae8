import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../errors/slipway-error.ts';
import { findTfjsNode, TFJS_NODE } from './tfjs-node-package.ts';

/*
 * Where native TensorFlow lies once `slipway native install` has run. The command line writes it; the server and its
 * child processes only read it.
 *   <folder>/installed/installation.json    what is there
 *   <folder>/installed/tfjs_binding.node    the binding of tfjs-node, built for it
 *   <folder>/installed/tensorflow, nvidia   libraries, at the places of the wheels
 *   <folder>/downloads                      what is being fetched
 */

/** The variable that tells child processes the folder. */
export const FOLDER_VARIABLE = 'SLIPWAY_TENSORFLOW_FOLDER';
export const RECORD_FILE = 'installation.json';
export const BINDING_FILE = 'tfjs_binding.node';

/** Raised when what lies in the folder, or how the binding is built, changes. */
export const RECORD_FORMAT = 2;

export type Variant = 'cpu' | 'cuda';

/** What `installation.json` says. */
export interface InstallationRecord {
  readonly format: number;
  /** Version of TensorFlow. */
  readonly tensorflow: string;
  /** The wheel that it comes from. */
  readonly wheel: string;
  readonly variant: Variant;
  /** Version of the npm package that the binding was built from. */
  readonly tfjsNode: string;
  readonly platform: string;
  readonly arch: string;
  /** Bytes of each file, by its path in the folder. */
  readonly files: Readonly<Record<string, number>>;
}

export interface Installation extends InstallationRecord {
  /** Absolute path of the folder that holds the files. */
  readonly folder: string;
  /** Absolute path of the binding. */
  readonly binding: string;
  readonly bytes: number;
}

export type InstallationState =
  | { readonly state: 'absent' }
  /** There is something, but not what this Slipway can load; `problem` is a sentence for users. */
  | { readonly state: 'unusable'; readonly problem: string }
  | { readonly state: 'installed'; readonly installation: Installation };

const ADVICE = 'Run: npx slipway native install';

/** The folder unless a setting names another: a cache of the user, which `npm ci` leaves alone. */
export function defaultFolder(env: Readonly<NodeJS.ProcessEnv>): string {
  const caches = env['XDG_CACHE_HOME'];
  return join(caches === undefined || caches === '' ? join(homedir(), '.cache') : caches, 'slipway', 'tensorflow');
}

export function installedFolder(folder: string): string {
  return join(folder, 'installed');
}

function readRecord(file: string): InstallationRecord | string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : messageOf(error);
  }
  try {
    const record = JSON.parse(text) as Partial<InstallationRecord>;
    if (record.format !== RECORD_FORMAT) return `it is of another version of Slipway (format ${String(record.format)})`;
    if (typeof record.files !== 'object') return `${RECORD_FILE} does not list its files`;
    return record as InstallationRecord;
  } catch (error) {
    return `${RECORD_FILE} is damaged: ${messageOf(error)}`;
  }
}

/** What does not fit between the record and this machine, the npm package and the files. */
function problemOf(record: InstallationRecord, folder: string): string | undefined {
  const { platform, arch } = process;
  if (record.platform !== platform || record.arch !== arch)
    return `it is for ${record.platform} on ${record.arch}, and this is ${platform} on ${arch}`;
  const found = findTfjsNode();
  if (found === undefined) return `the npm package ${TFJS_NODE} is not installed`;
  if (found.version !== record.tfjsNode)
    return `its binding was built from ${TFJS_NODE} ${record.tfjsNode}, and ${found.version} is installed now`;
  for (const [name, bytes] of Object.entries(record.files)) {
    const size = statSync(join(folder, name), { throwIfNoEntry: false })?.size;
    if (size === undefined) return `${name} is missing`;
    if (size !== bytes) return `${name} has ${size} bytes instead of ${bytes}`;
  }
  return undefined;
}

/** What is installed in a folder, and whether it can be loaded here. Looks at names and sizes, not into the files. */
export function readInstallation(folder: string): InstallationState {
  const installed = installedFolder(folder);
  const record = readRecord(join(installed, RECORD_FILE));
  if (record === undefined) return { state: 'absent' };
  const problem = typeof record === 'string' ? record : problemOf(record, installed);
  if (typeof record === 'string' || problem !== undefined)
    return { state: 'unusable', problem: `Native TensorFlow in ${installed} cannot be used: ${problem}. ${ADVICE}` };
  const bytes = Object.values(record.files).reduce((sum, size) => sum + size, 0);
  return { state: 'installed', installation: { ...record, folder: installed, binding: join(installed, BINDING_FILE), bytes } };
}

/** The folders of CUDA's libraries, where the loader of a runner has to look; none in the build for CPUs. */
export function libraryFolders({ folder, files }: Installation): readonly string[] {
  const folders = new Set<string>();
  for (const name of Object.keys(files)) if (name.startsWith('nvidia/')) folders.add(join(folder, name.slice(0, name.lastIndexOf('/'))));
  return [...folders].toSorted();
}
