import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { programFile } from '../concurrency/fork-program.ts';
import { messageOf } from '../errors/slipway-error.ts';
import { InstallError } from './install-error.ts';
import { tensorflowEnvironment } from './tensorflow-environment.ts';

const run = promisify(execFile);
const TRIAL_MS = 120_000;

/** What the trial has found. */
export interface Trial {
  readonly version: string;
  readonly device: string;
}

/** How the process of the trial ended, in words. */
function endOf(error: unknown): string {
  const { signal, code, stderr = '' } = error as { signal?: string; code?: unknown; stderr?: string };
  if (signal === 'SIGILL') return 'the processor lacks instructions that TensorFlow is built for (AVX), or the library is damaged (SIGILL)';
  if (typeof signal === 'string') return `its process was ended by ${signal}`;
  const last = stderr
    .trim()
    .split('\n')
    .findLast((line) => line !== '');
  return typeof code === 'number' && last !== undefined ? last : messageOf(error);
}

/**
 * Has a process of its own load what is installed in a folder and make a prediction with it, as a runner would: a library
 * that ends its process must not end this one.
 * @throws InstallError that says what happened
 */
export async function tryInstallation(folder: string, env: Readonly<NodeJS.ProcessEnv>): Promise<Trial> {
  const program = programFile('../engines/tfjs/try-tensorflow', import.meta.url);
  try {
    const { stdout } = await run(process.execPath, [program], {
      env: { ...env, ...tensorflowEnvironment(folder, env) },
      timeout: TRIAL_MS,
    });
    return JSON.parse(stdout) as Trial;
  } catch (error) {
    throw new InstallError(`Native TensorFlow was built but makes no prediction: ${endOf(error)}`);
  }
}
