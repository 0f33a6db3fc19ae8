import { parseArgs } from 'node:util';
import { install, remove, TENSORFLOW_VERSION } from '../../native/install.ts';
import { InstallError } from '../../native/install-error.ts';
import { defaultFolder, FOLDER_VARIABLE, readInstallation } from '../../native/installation.ts';
import { askPipForIndex, readPipSettings } from '../../native/pip-settings.ts';
import { thisMachine } from '../../native/platform.ts';
import { tryInstallation } from '../../native/try-installation.ts';
import { type Command, type Terminal, UsageError } from '../command.ts';
import { useNetworkSettings } from './network.ts';
import { createProgress } from './progress.ts';

const FOLDER_OPTION = { folder: { type: 'string' } } as const;

function folderOf(given: string | undefined, { env }: Terminal): string {
  return given ?? env[FOLDER_VARIABLE] ?? defaultFolder(env);
}

async function indexesOf(given: string | undefined, configured: readonly string[], { env }: Terminal): Promise<readonly string[]> {
  const indexes = given === undefined ? configured : [given];
  for (const each of indexes) if (!URL.canParse(each)) throw new InstallError(`The package index "${each}" is no address.`);
  if (indexes.length > 0) return indexes;
  const asked = await askPipForIndex(env);
  if (asked !== undefined) return [asked];
  throw new InstallError(
    'No index of Python packages is configured. Name one by --index-url or the variable PIP_INDEX_URL, or a wheel that you have by --wheel.',
  );
}

async function runInstall(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...FOLDER_OPTION,
      cuda: { type: 'boolean', default: false },
      tensorflow: { type: 'string', default: TENSORFLOW_VERSION },
      wheel: { type: 'string' },
      'index-url': { type: 'string' },
    },
  });
  const { out, err, env } = terminal;
  const settings = readPipSettings(env);
  useNetworkSettings(settings, env);
  const folder = folderOf(values.folder, terminal);
  const { step, progress } = createProgress(err);
  const { version, device } = await install({
    folder,
    variant: values.cuda ? 'cuda' : 'cpu',
    version: values.tensorflow,
    wheel: values.wheel,
    // With a wheel of TensorFlow at hand, only CUDA's have to come from somewhere.
    indexes: values.wheel !== undefined && !values.cuda ? [] : await indexesOf(values['index-url'], settings.indexes, terminal),
    machine: thisMachine(),
    env,
    onStep: step,
    onProgress: progress,
    signal: terminal.interrupted,
  });
  out.write(`TensorFlow ${version} is installed in ${folder} and predicts on ${device}.\n`);
  if (values.cuda && device !== 'cuda')
    err.write('It has found no GPU that it can use, and falls back to the CPU. nvidia-smi tells what the driver sees.\n');
  return 0;
}

async function runStatus(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: FOLDER_OPTION });
  const { out, err, env } = terminal;
  const folder = folderOf(values.folder, terminal);
  const found = readInstallation(folder);
  if (found.state === 'absent') {
    err.write(`Native TensorFlow is not installed in ${folder}. Run: npx slipway native install\n`);
    return 1;
  }
  if (found.state === 'unusable') {
    err.write(`${found.problem}\n`);
    return 1;
  }
  const { tensorflow, variant, tfjsNode, bytes } = found.installation;
  out.write(`TensorFlow ${tensorflow} (${variant}) in ${folder}, ${(bytes / 1e6).toFixed(0)} MB, binding of tfjs-node ${tfjsNode}\n`);
  const { device } = await tryInstallation(folder, env);
  out.write(`It predicts on ${device}.\n`);
  return 0;
}

async function runRemove(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: FOLDER_OPTION });
  const folder = folderOf(values.folder, terminal);
  terminal.out.write((await remove(folder)) ? `Removed from ${folder}.\n` : `There is nothing in ${folder}.\n`);
  return 0;
}

/** The words after `slipway native`. */
const VERBS: Readonly<Record<string, (args: readonly string[], terminal: Terminal) => Promise<number>>> = {
  install: runInstall,
  status: runStatus,
  remove: runRemove,
};

export const nativeCommand: Command = {
  usage: `Usage: slipway native install [--cuda] [--tensorflow VERSION] [--index-url URL] [--wheel FILE] [--folder DIR]
       slipway native status|remove [--folder DIR]

Native TensorFlow: serves SavedModels, and is a backend of tfjs that trains and predicts on CPUs and NVIDIA’s GPUs.

install             Fetch TensorFlow’s libraries from the index of Python packages that pip is configured for, check their
                    SHA-256, build the binding with g++ and try it by a prediction. Python is not needed. What was
                    fetched before an interruption is gone on with. For Debian, Ubuntu and their kin on x64 and arm64.
  --cuda            With CUDA’s libraries, for NVIDIA’s GPUs; some gigabytes.
  --tensorflow V    Version of TensorFlow. Default: ${TENSORFLOW_VERSION}.
  --index-url URL   Index of Python packages. Default: PIP_INDEX_URL, pip.conf, or what pip says when it is there.
  --wheel FILE      A wheel of TensorFlow that you have, in place of a download.
status              What is installed, and whether it predicts; exits with 1 when it does not.
remove              Remove it.
  --folder DIR      Where it lies. Default: ${FOLDER_VARIABLE}, or slipway/tensorflow in the user’s cache folder.
`,
  async run([verb = '', ...args], terminal) {
    const action = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (action === undefined) throw new UsageError(verb === '' ? 'say what to do' : `there is no ${verb}`);
    return action(args, terminal);
  },
};
