import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buildBinding, findCompiler } from './build-binding.ts';
import { download, type OnProgress } from './download.ts';
import { InstallError } from './install-error.ts';
import { BINDING_FILE, installedFolder, type InstallationRecord, RECORD_FILE, RECORD_FORMAT, type Variant } from './installation.ts';
import { type Machine, wheelArchitecture, whyNotHere } from './platform.ts';
import { type IndexFile, listFiles, withoutPassword } from './python-index.ts';
import { findTfjsNode, TFJS_NODE, type TfjsNodePackage } from './tfjs-node-package.ts';
import { type Trial, tryInstallation } from './try-installation.ts';
import { cudaRequirements, isHeader, unpackCuda, unpackTensorFlow } from './unpack-wheel.ts';
import { compareVersions, fits, isRelease } from './versions.ts';
import { parseWheelName, type WheelName, whyNotFor } from './wheel-name.ts';

/** The version that Slipway is tried with. */
export const TENSORFLOW_VERSION = '2.21.0';

/** The packages that have TensorFlow's libraries, the smallest first; not each exists for each processor. */
const PROJECTS: Readonly<Record<Variant, readonly string[]>> = {
  cpu: ['tensorflow-cpu', 'tensorflow'],
  cuda: ['tensorflow'],
};

export interface InstallOptions {
  /** As the setting `tensorflow.folder`. */
  readonly folder: string;
  readonly variant: Variant;
  readonly version: string;
  /** A wheel that is there already, in place of a download. */
  readonly wheel?: string | undefined;
  /** Package indexes, the first one first. */
  readonly indexes: readonly string[];
  readonly machine: Machine;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Told what is being done, in words. */
  readonly onStep: (step: string) => void;
  readonly onProgress: OnProgress;
  /** Ends it. What was there before stays, and what has been fetched. */
  readonly signal?: AbortSignal | undefined;
}

/** A wheel on an index. */
interface Offer {
  readonly file: IndexFile;
  readonly wheel: WheelName;
}

const LEFT_OUT =
  `The npm package ${TFJS_NODE} is not installed. It is an optional dependency: npm before version 11 leaves it out, and so does ` +
  '--omit=optional. Run: npm install --no-save --ignore-scripts --include=optional';

function offers(files: readonly IndexFile[]): Offer[] {
  return files.flatMap((file) => {
    const wheel = parseWheelName(file.name);
    return wheel === undefined ? [] : [{ file, wheel }];
  });
}

/** The newest wheel of a project that fits, or why there is none. */
async function findWheel(
  project: string,
  fitsVersion: (version: string) => boolean,
  { indexes, machine }: InstallOptions,
): Promise<Offer | string> {
  const all = offers(await listFiles(indexes, project)).filter(({ file }) => !file.isYanked);
  if (all.length === 0) return `${project} is not on the package index ${indexes.map(withoutPassword).join(', ')}.`;
  const ofVersion = all.filter(({ wheel }) => fitsVersion(wheel.version));
  const problems = ofVersion.map(({ wheel }) => whyNotFor(wheel, wheelArchitecture(machine)!, machine.glibc!));
  const able = ofVersion.filter((_offer, index) => problems[index] === undefined);
  // Each version of Python has a wheel of its own; what we take of it is the same in all.
  const newest = able.toSorted((a, b) => compareVersions(a.wheel.version, b.wheel.version)).at(-1);
  if (newest !== undefined) return newest;
  if (ofVersion.length > 0) return problems[0]!;
  const there = [...new Set(all.map(({ wheel }) => wheel.version).filter(isRelease))].toSorted(compareVersions);
  return `There is no such version of ${project} on the package index; the newest ones are ${there.slice(-5).join(', ')}.`;
}

async function fetchWheel(project: readonly string[], fitsVersion: (version: string) => boolean, options: InstallOptions): Promise<string> {
  const problems: string[] = [];
  for (const each of project) {
    const found = await findWheel(each, fitsVersion, options);
    if (typeof found === 'string') {
      problems.push(found);
      continue;
    }
    options.onStep(`Downloading ${found.file.name}`);
    const target = join(options.folder, 'downloads', basename(found.file.name));
    await download(found.file, target, options);
    return target;
  }
  throw new InstallError(problems.join(' '));
}

/** A wheel that the user names. @throws InstallError when it is not one for this machine. */
async function checkWheel(path: string, machine: Machine): Promise<WheelName> {
  const wheel = parseWheelName(basename(path));
  if (wheel === undefined || !wheel.distribution.startsWith('tensorflow'))
    throw new InstallError(`${path} does not have the name of a wheel of TensorFlow, e.g. tensorflow_cpu-…-manylinux_…_x86_64.whl.`);
  const problem = whyNotFor(wheel, wheelArchitecture(machine)!, machine.glibc!);
  if (problem !== undefined) throw new InstallError(problem);
  if (
    !(await stat(path).then(
      (status) => status.isFile(),
      () => false,
    ))
  )
    throw new InstallError(`${path} is not there.`);
  return wheel;
}

function endIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InstallError('Interrupted. What was there before stays.');
}

/** Unpacks and builds into a new folder, and writes the record of it. */
async function assemble(staging: string, wheelPath: string, tfjsNode: TfjsNodePackage, options: InstallOptions): Promise<void> {
  const { variant, env, onStep, machine, signal } = options;
  const installed = installedFolder(staging);
  await mkdir(installed, { recursive: true });
  onStep(`Unpacking ${basename(wheelPath)}`);
  const { files, metadata } = await unpackTensorFlow(wheelPath, installed);
  const kept: Record<string, number> = {};
  for (const [name, bytes] of Object.entries(files)) if (!isHeader(name)) kept[name] = bytes;
  if (variant === 'cuda') {
    const needed = cudaRequirements(metadata);
    if (needed.length === 0) throw new InstallError(`${basename(wheelPath)} names no CUDA libraries; take a wheel of "tensorflow".`);
    for (const { project, versions } of needed) {
      const wheel = await fetchWheel([project], (version) => isRelease(version) && fits(version, versions), options);
      endIfInterrupted(signal);
      onStep(`Unpacking ${basename(wheel)}`);
      Object.assign(kept, (await unpackCuda(wheel, installed)).files);
    }
  }
  endIfInterrupted(signal);
  onStep('Building the binding');
  const binding = join(installed, BINDING_FILE);
  await buildBinding({ sources: tfjsNode.folder, folder: installed, target: binding, env, signal });
  endIfInterrupted(signal);
  kept[BINDING_FILE] = (await stat(binding)).size;
  await rm(join(installed, 'tensorflow', 'include'), { recursive: true, force: true });
  const record: InstallationRecord = {
    format: RECORD_FORMAT,
    tensorflow: parseWheelName(basename(wheelPath))!.version,
    wheel: basename(wheelPath),
    variant,
    tfjsNode: tfjsNode.version,
    platform: machine.platform,
    arch: machine.arch,
    files: kept,
  };
  await writeFile(join(installed, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/**
 * Fetches TensorFlow, builds the binding to it, tries both, and only then puts them in the place of what was there.
 * Processes that run on what was there keep it until they end.
 * @throws InstallError with what stands in the way; nothing that worked before is lost.
 */
export async function install(options: InstallOptions): Promise<Trial> {
  const { folder, machine, version, variant, wheel, env, onStep } = options;
  const problem = whyNotHere(machine);
  if (problem !== undefined) throw new InstallError(problem);
  const tfjsNode = findTfjsNode();
  if (tfjsNode === undefined) throw new InstallError(LEFT_OUT);
  onStep(`Compiler: ${await findCompiler(env)}`);
  if (wheel !== undefined) await checkWheel(wheel, machine);
  await mkdir(folder, { recursive: true });
  const path = wheel ?? (await fetchWheel(PROJECTS[variant], (each) => compareVersions(each, version) === 0 && each === version, options));
  const staging = join(folder, `.staging-${createHash('sha256').update(randomUUID()).digest('hex').slice(0, 12)}`);
  try {
    await assemble(staging, path, tfjsNode, options);
    onStep('Trying it by a prediction');
    const trial = await tryInstallation(staging, env);
    await replace(installedFolder(staging), installedFolder(folder), folder);
    // Only now: until it works, another run can go on from what has been fetched.
    await rm(join(folder, 'downloads'), { recursive: true, force: true });
    return trial;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function replace(from: string, to: string, folder: string): Promise<void> {
  const old = join(folder, `.old-${randomUUID()}`);
  if (existsSync(to)) await rename(to, old);
  await rename(from, to);
  // What earlier runs have left that were cut short, too.
  for (const name of await readdir(folder)) if (name.startsWith('.old-')) await rm(join(folder, name), { recursive: true, force: true });
}

/** Removes what is installed, and what was being fetched. @returns whether there was anything. */
export async function remove(folder: string): Promise<boolean> {
  if (!existsSync(folder)) return false;
  const names = (await readdir(folder)).filter((name) => /^(installed|downloads|\.(old|staging)-.*)$/.test(name));
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
  // Others may keep something of theirs there.
  await rmdir(folder).catch(() => {});
  return names.length > 0;
}
