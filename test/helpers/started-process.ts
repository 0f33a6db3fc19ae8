import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { addModels } from './running-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const PROGRAM = fileURLToPath(new URL('../../bin/slipway.js', import.meta.url));

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly reason?: string;
}

export interface StartedProcess {
  readonly child: ChildProcess;
  readonly lines: Line[];
  /** The folders of its model repository and of its own records. */
  readonly models: string;
  readonly state: string;
  /** Resolves with the exit status. */
  readonly exited: Promise<number | null>;
  readonly stderr: () => string;
  address(): Promise<string>;
  /** Waits for a line with this in its message or reason. */
  lineWith(text: string): Promise<Line>;
}

export interface StartOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Commands of the shell that starts it, e.g. `ulimit -n 64`. */
  readonly before?: string;
}

/** The server as a process of its own on free ports, ended when the test has finished. */
export async function startProcess(names: readonly string[], { args = [], env = {}, before }: StartOptions = {}): Promise<StartedProcess> {
  const folder = await temporaryFolder();
  const models = join(folder, 'models');
  const state = join(folder, 'state');
  await addModels(models, names);
  const command = [process.execPath, PROGRAM, '--port', '0', '--grpc-port', '0', '--models', models, '--state', state, ...args];
  const [program = '', ...rest] = before === undefined ? command : ['sh', '-c', `${before} && exec "$@"`, 'sh', ...command];
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...env } });
  const lines: Line[] = [];
  let stderr = '';
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Line));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lineWith = (text: string): Promise<Line> =>
    vi.waitFor(
      () => {
        const found = lines.find(({ msg, reason = '' }) => msg.includes(text) || reason.includes(text));
        if (found === undefined) throw new Error(`no line with ${text}: ${stderr}`);
        return found;
      },
      { timeout: 20_000, interval: 10 },
    );
  return {
    child,
    lines,
    models,
    state,
    exited,
    stderr: () => stderr,
    lineWith,
    address: async () => /http:\S+/.exec((await lineWith('listening on')).msg)![0],
  };
}
