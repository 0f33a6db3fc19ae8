import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './digits.ts';

export interface BenchServer {
  readonly port: number;
  readonly pid: number;
  /** Moment of the start, on the `performance.now()` clock. */
  readonly startedAt: number;
  /** Of a Slipway server that serves gRPC; known a moment after the HTTP port. */
  readonly grpcPort: Promise<number>;
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
  const lines = createInterface({ input: child.stdout! });
  const portIn = (pattern: RegExp): Promise<number> =>
    new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const found = pattern.exec(line);
        if (found) resolve(Number(found[1]));
      });
      child.once('exit', (code) => reject(new Error(`the server ended with status ${code} before it listened`)));
    });
  const grpcPort = portIn(/listening for gRPC on [^:]+:(\d+)/);
  grpcPort.catch(() => {}); // for those who ask
  const port = await portIn(/listening on http:\/\/[^:]+:(\d+)/);
  return {
    port,
    grpcPort,
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

/** Processor time that one process has taken on all of its threads, in milliseconds, to the 10 that /proc/PID/stat counts in. Linux only. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Open file descriptors of one process. Linux only. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Waits until a Slipway server takes work. */
export async function untilReady(port: number): Promise<void> {
  for (const deadline = performance.now() + 30_000; performance.now() < deadline;) {
    if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error('the server did not become ready');
}

/**
 * Starts Slipway on free ports with a state folder of its own, and waits until it takes work.
 * @param settings further flags, e.g. `--models DIR`.
 * @param nodeFlags of the gateway, before the program.
 * @param onListening called when it listens, which is before it is ready.
 */
export async function startSlipway(
  settings: readonly string[],
  nodeFlags: readonly string[] = [],
  onListening: (server: BenchServer) => void = () => {},
): Promise<BenchServer> {
  const state = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  const program = join(ROOT, 'bin/slipway.js');
  const ports = ['--port', '0', '--grpc-port', '0'];
  const server = await startServer(['--max-semi-space-size=8', ...nodeFlags, program, ...ports, '--state', state, ...settings]);
  onListening(server);
  await untilReady(server.port);
  return {
    ...server,
    async stop() {
      await server.stop();
      rmSync(state, { recursive: true, force: true });
    },
  };
}
