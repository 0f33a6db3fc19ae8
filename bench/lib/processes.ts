import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface BenchServer {
  readonly port: number;
  readonly pid: number;
  /** Moment of the start, on the `performance.now()` clock. */
  readonly startedAt: number;
  stop(): Promise<void>;
}

/**
 * Starts a server program and waits for the line on standard output that names its address.
 * @param args of Node: the program and its own arguments.
 */
export async function startServer(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
  const startedAt = performance.now();
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', (line) => {
      const found = /listening on http:\/\/[^:]+:(\d+)/.exec(line);
      if (found) resolve(Number(found[1]));
    });
    child.once('exit', (code) => reject(new Error(`the server ended with status ${code} before it listened`)));
  });
  return {
    port,
    pid: child.pid!,
    startedAt,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Processes started by `pid`, and theirs. Linux only. */
export function descendantsOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const found = children === '' ? [] : children.split(' ').map(Number);
  return found.flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Resident memory of one process, in bytes. Linux only. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1_024;
}

/** Open file descriptors of one process. Linux only. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
