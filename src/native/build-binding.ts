import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../errors/slipway-error.ts';
import { hasCode } from '../errors/has-code.ts';
import { InstallError } from './install-error.ts';

const run = promisify(execFile);

/**
 * What is changed in tfjs_backend.cc. It frees the content of string tensors when their handle goes, although others may
 * hold the same buffer: a constant of a graph is empty after it was once an output. Here the buffer itself frees it, when
 * nobody has it any more.
 */
const CHANGES: readonly (readonly [find: RegExp, replace: string])[] = [
  [
    /(?<=\nnamespace tfnodejs \{\n)/,
    `
static void DeallocStrings(void *data, size_t len, void *arg) {
  TF_TString *strings = static_cast<TF_TString *>(data);
  for (size_t i = 0; i < len / sizeof(TF_TString); i++) TF_TString_Dealloc(strings + i);
  free(data);
}
`,
  ],
  [
    /TF_AllocateTensor\(TF_DataType::TF_STRING, shape,\s*shape_length,\s*array_length \* sizeof\(TF_TString\)\)/,
    'TF_NewTensor(TF_DataType::TF_STRING, shape, shape_length, calloc(array_length + 1, sizeof(TF_TString)), ' +
      'array_length * sizeof(TF_TString), DeallocStrings, nullptr)',
  ],
  [/if \(TFE_TensorHandleDataType\(tensor_handle\) == TF_STRING\)/, 'if (false)'],
];
const CHANGED_SOURCE = 'tfjs_backend.cc';

function change(source: string): string {
  return CHANGES.reduce((text, [find, replace]) => {
    if (!find.test(text))
      throw new InstallError(`${CHANGED_SOURCE} of this tfjs-node is not what Slipway knows: ${find.source} is not in it.`);
    return text.replace(find, () => replace);
  }, source);
}

const BUILD_MS = 10 * 60_000;
/** Folder of the headers of Node-API. */
function nodeHeaders(): string {
  return (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
}

/** Of what the compiler prints, so much is shown: the first error says most. */
const SHOWN_LINES = 12;

const NO_COMPILER = (name: string): string =>
  `There is no C++ compiler "${name}", which builds the binding between tfjs and TensorFlow. ` +
  'On Debian and Ubuntu: apt-get install g++. Another one is named by the variable CXX.';

function compilerOf(env: Readonly<NodeJS.ProcessEnv>): [program: string, ...args: string[]] {
  const [program = 'g++', ...args] = (env['CXX'] ?? '').split(/\s+/).filter((each) => each !== '');
  return [program, ...args];
}

/** Looks for the compiler, before anything is fetched for it. @throws InstallError when there is none. */
export async function findCompiler(env: Readonly<NodeJS.ProcessEnv>): Promise<string> {
  const [program, ...args] = compilerOf(env);
  try {
    const { stdout } = await run(program, [...args, '--version'], { env: { ...env }, timeout: BUILD_MS });
    return stdout.split('\n')[0] ?? program;
  } catch (error) {
    throw new InstallError(hasCode(error, 'ENOENT', 'EACCES') ? NO_COMPILER(program) : `${program} does not work: ${messageOf(error)}`);
  }
}

function firstLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const from = Math.max(
    0,
    lines.findIndex((line) => /\berror\b/i.test(line)),
  );
  return lines.slice(from, from + SHOWN_LINES).join('\n');
}

interface BuildOptions {
  /** Folder of the npm package. */
  readonly sources: string;
  /** Holds `tensorflow` as it was in the wheel, headers too. */
  readonly folder: string;
  /** The file that is built. */
  readonly target: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly signal: AbortSignal | undefined;
}

/**
 * Builds the binding of tfjs-node against TensorFlow's libraries. It finds them beside itself, wherever the folder is moved to.
 * @throws InstallError with what the compiler said
 */
export async function buildBinding({ sources, folder, target, env, signal }: BuildOptions): Promise<void> {
  const [program, ...args] = compilerOf(env);
  const tensorflow = join(folder, 'tensorflow');
  const libraries = (await readdir(tensorflow)).filter((name) => name.startsWith('libtensorflow_'));
  // The compiler's own temporary files would otherwise stay when it is interrupted.
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-binding-'));
  try {
    const binding = join(sources, 'binding');
    const changed = join(scratch, CHANGED_SOURCE);
    await writeFile(changed, change(await readFile(join(binding, CHANGED_SOURCE), 'utf8')));
    await run(
      program,
      [
        ...args,
        '-std=c++17',
        '-O2',
        '-fPIC',
        '-shared',
        '-DNAPI_VERSION=8',
        changed,
        join(binding, 'tfjs_binding.cc'),
        `-I${binding}`,
        `-I${join(tensorflow, 'include')}`,
        `-I${nodeHeaders()}`,
        `-L${tensorflow}`,
        ...libraries.map((name) => `-l:${basename(name)}`),
        '-Wl,-rpath,$ORIGIN/tensorflow',
        '-o',
        target,
      ],
      { env: { ...env, TMPDIR: scratch }, timeout: BUILD_MS, maxBuffer: 64 * 1024 * 1024, signal },
    );
  } catch (error) {
    if (signal?.aborted === true) throw new InstallError('Interrupted while the binding was built. What was there before stays.');
    if (hasCode(error, 'ENOENT')) throw new InstallError(NO_COMPILER(program));
    const { stderr = '' } = error as { stderr?: string };
    throw new InstallError(`The binding could not be built with ${program}:\n${firstLines(stderr) || messageOf(error)}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
