import { execFile } from 'node:child_process';
import { PROGRAM } from './started-process.ts';

export interface CliRun {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `slipway` with these arguments to its end, as a process of its own whose output goes into pipes. */
export function slipway(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<CliRun> {
  const { env = {}, cwd } = options;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [PROGRAM, ...args],
      { env: { PATH: process.env['PATH'], ...env }, ...(cwd !== undefined && { cwd }) },
      (_error, out, err) => resolve({ status: child.exitCode ?? -1, out, err }),
    );
  });
}
