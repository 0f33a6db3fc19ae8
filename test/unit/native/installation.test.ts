import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { install, type InstallOptions } from '../../../src/native/install.ts';
import { BINDING_FILE, installedFolder, readInstallation, RECORD_FILE, RECORD_FORMAT } from '../../../src/native/installation.ts';
import { thisMachine } from '../../../src/native/platform.ts';
import { findTfjsNode } from '../../../src/native/tfjs-node-package.ts';
import { tensorflowEnvironment } from '../../../src/native/tensorflow-environment.ts';
import { zipOf } from '../../helpers/archives.ts';
import { slipway } from '../../helpers/cli.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const tfjsNode = findTfjsNode();
const machine = thisMachine();
/** Whether anything can be installed here at all; npm before version 11 leaves the package out. */
const isPossible = tfjsNode !== undefined && machine.platform === 'linux' && machine.glibc !== undefined;

const RECORD = {
  format: RECORD_FORMAT,
  tensorflow: '2.21.0',
  wheel: 'w.whl',
  variant: 'cuda',
  tfjsNode: tfjsNode?.version,
  platform: process.platform,
  arch: process.arch,
  files: { [BINDING_FILE]: 5, 'nvidia/cublas/lib/libcublas.so.12': 4 },
};

/** A folder with an installation whose library is none. */
async function madeUp(record: object | string = RECORD): Promise<string> {
  const folder = await temporaryFolder();
  const installed = installedFolder(folder);
  await mkdir(join(installed, 'nvidia/cublas/lib'), { recursive: true });
  await writeFile(join(installed, BINDING_FILE), 'bogus');
  await writeFile(join(installed, 'nvidia/cublas/lib/libcublas.so.12'), 'none');
  await writeFile(join(installed, RECORD_FILE), typeof record === 'string' ? record : JSON.stringify(record));
  return folder;
}

function problemIn(folder: string): string {
  const found = readInstallation(folder);
  return found.state === 'unusable' ? found.problem : found.state;
}

describe('what is installed', () => {
  it('is absent, or is not used when it does not fit', async () => {
    expect(readInstallation(await temporaryFolder())).toEqual({ state: 'absent' });
    expect(problemIn(await madeUp('{'))).toMatch(/cannot be used: installation\.json is damaged: .*npx slipway native install$/);
    expect(problemIn(await madeUp({ ...RECORD, format: 0 }))).toContain('of another version of Slipway (format 0)');
    expect(problemIn(await madeUp({ ...RECORD, arch: 'mips' }))).toContain('is for linux on mips');
  });

  it.runIf(tfjsNode)('is not used with another tfjs-node, or when a file is gone or cut short', async () => {
    expect(problemIn(await madeUp({ ...RECORD, tfjsNode: '3.0.0' }))).toContain('tfjs-node-gpu 3.0.0, and 4.');
    expect(problemIn(await madeUp({ ...RECORD, files: { ...RECORD.files, 'tensorflow/libtensorflow_cc.so.2': 7 } }))).toContain(
      'tensorflow/libtensorflow_cc.so.2 is missing',
    );
    expect(problemIn(await madeUp({ ...RECORD, files: { [BINDING_FILE]: 500 } }))).toContain(
      'tfjs_binding.node has 5 bytes instead of 500',
    );
  });

  it.runIf(tfjsNode)('tells child processes where it is, and the loader where CUDA is', async () => {
    const folder = await madeUp();
    const cublas = join(installedFolder(folder), 'nvidia/cublas/lib');
    expect(tensorflowEnvironment(folder, {})).toEqual({ SLIPWAY_TENSORFLOW_FOLDER: folder, LD_LIBRARY_PATH: cublas });
    expect(tensorflowEnvironment(folder, { LD_LIBRARY_PATH: '/opt/lib' })['LD_LIBRARY_PATH']).toBe(`${cublas}:/opt/lib`);
    const none = await temporaryFolder();
    expect(tensorflowEnvironment(none, { LD_LIBRARY_PATH: '/opt/lib' })).toEqual({ SLIPWAY_TENSORFLOW_FOLDER: none });
  });
});

describe('slipway native', () => {
  it('says what is not installed, what cannot be loaded, and removes it', async () => {
    const empty = await temporaryFolder();
    expect(await slipway(['native', 'status', '--folder', empty])).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^Native TensorFlow is not installed in .*Run: npx slipway native install\n$/) as string,
    });
    const folder = await madeUp();
    if (tfjsNode !== undefined) {
      expect(await slipway(['native', 'status', '--folder', folder])).toMatchObject({
        status: 1,
        err: expect.stringMatching(/makes no prediction: .*cannot be loaded: .*tfjs_binding\.node: file too short/) as string,
      });
    }
    expect(await slipway(['native', 'remove'], { env: { SLIPWAY_TENSORFLOW_FOLDER: folder } })).toMatchObject({
      status: 0,
      out: `Removed from ${folder}.\n`,
    });
    expect(readInstallation(folder).state).toBe('absent');
    expect((await slipway(['native', 'remove', '--folder', folder])).out).toBe(`There is nothing in ${folder}.\n`);
  });

  it('is not understood without a verb, with another one or with other flags', async () => {
    for (const args of [[], ['build'], ['status', '--cuda'], ['install', 'now']])
      expect((await slipway(['native', ...args])).status).toBe(2);
  });

  it.runIf(isPossible)('needs to know an index', async () => {
    const env = { PIP_CONFIG_FILE: '/dev/null', PATH: '/nowhere' };
    const { status, err } = await slipway(['native', 'install', '--folder', await temporaryFolder()], { env });
    expect({ status, err }).toMatchObject({ status: 1, err: expect.stringContaining('--index-url') as string });
  });
});

describe('an installation that cannot be', () => {
  async function failing(options: Partial<InstallOptions>): Promise<string> {
    const steps: string[] = [];
    const folder = await madeUp();
    const all: InstallOptions = {
      folder,
      variant: 'cpu',
      version: '2.21.0',
      indexes: [],
      machine,
      env: process.env,
      onStep: (step) => steps.push(step),
      onProgress: () => {},
      ...options,
    };
    const message = await install(all).then(
      () => 'installed',
      (error: unknown) => (error as Error).message,
    );
    // What was there before stays.
    expect(readInstallation(folder).state).not.toBe('absent');
    return message;
  }

  async function wheelOf(
    entries: Readonly<Record<string, string>>,
    name = 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
  ): Promise<string> {
    const path = join(await temporaryFolder(), machine.arch === 'arm64' ? name.replace('x86_64', 'aarch64') : name);
    await writeFile(path, zipOf(Object.entries(entries).map(([file, content]) => ({ name: file, content }))));
    return path;
  }

  it('is refused on musl before anything is fetched', async () => {
    expect(await failing({ machine: { ...machine, platform: 'linux', arch: 'x64', glibc: undefined } })).toContain('musl');
  });

  it.runIf(isPossible)('is refused without a compiler before anything is fetched', async () => {
    expect(await failing({ env: { CXX: 'no-such-compiler' } })).toMatch(/no C\+\+ compiler "no-such-compiler".*apt-get install g\+\+/);
  });

  // `true` answers any question with success, as a compiler that is there would.
  const withCompiler = { env: { PATH: process.env['PATH'], CXX: 'true' } };

  it.runIf(isPossible)('names a wheel that is for another machine, no wheel, damaged or without the libraries', async () => {
    const foreign = await wheelOf({}, 'tensorflow_cpu-2.21.0-cp311-cp311-win_amd64.whl');
    expect(await failing({ ...withCompiler, wheel: foreign })).toContain('is for win_amd64; this machine is Linux on');
    expect(await failing({ ...withCompiler, wheel: await wheelOf({}, 'numpy-2.0-cp311-cp311-any.whl') })).toContain(
      'does not have the name of a wheel',
    );
    const damaged = await wheelOf({});
    await writeFile(damaged, 'PK no zip');
    expect(await failing({ ...withCompiler, wheel: damaged })).toContain('cannot be read as a wheel');
    expect(await failing({ ...withCompiler, wheel: await wheelOf({ 'tensorflow/x.py': '' }) })).toContain(
      'does not hold TensorFlow’s libraries',
    );
    expect(await failing({ ...withCompiler, wheel: join(await temporaryFolder(), basename(damaged)) })).toContain('is not there');
  });

  it.runIf(isPossible)('shows what the compiler says', async () => {
    const compiler = join(await temporaryFolder(), 'compiler');
    const script = [
      '#!/bin/sh',
      'case "$*" in',
      '  *--version*) echo one ;;',
      '  *) echo "In file x:" >&2; echo "x.cc:1: error: no header" >&2; exit 1 ;;',
      'esac',
      '',
    ];
    await writeFile(compiler, script.join('\n'), { mode: 0o755 });
    const libraries = { 'tensorflow/libtensorflow_cc.so.2': 'x', 'tensorflow/libtensorflow_framework.so.2': 'x' };
    const message = await failing({ env: { ...withCompiler.env, CXX: compiler }, wheel: await wheelOf(libraries) });
    expect(message).toBe(`The binding could not be built with ${compiler}:\nx.cc:1: error: no header`);
  });
});
