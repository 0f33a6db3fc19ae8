import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ForkOptions {
  /** Environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Largest JavaScript heap, in bytes. */
  readonly maxHeapBytes: number;
  /** How much of the last that it printed is kept. */
  readonly printedChars: number;
}

export interface ForkedProgram {
  readonly child: ChildProcess;
  /** The last that it printed on stderr; a crash says its reason there. */
  readonly printed: string;
}

/**
 * The file of a program of this project: TypeScript when run from source, JavaScript when compiled.
 * @param path without its ending, from the file that asks, e.g. `./child/main`.
 * @param from `import.meta.url` of the file that asks.
 */
export function programFile(path: string, from: string): string {
  return fileURLToPath(new URL(`${path}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from));
}

/** Starts a program in a process of its own, with a channel for messages. */
export function forkProgram(program: string, { env, maxHeapBytes, printedChars }: ForkOptions): ForkedProgram {
  const child = fork(program, {
    execArgv: [`--max-old-space-size=${Math.ceil(maxHeapBytes / 2 ** 20)}`],
    env: { ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let printed = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    printed = (printed + chunk.toString('utf8')).slice(-printedChars);
  });
  return {
    child,
    get printed() {
      return printed;
    },
  };
}

/** How a forked program ended, in words that go after "the process": `was ended by SIGSEGV`. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}
