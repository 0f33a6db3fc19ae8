import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onnx } from 'onnx-proto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SlipwayError } from '../../src/errors/slipway-error.ts';
import type { Logger } from '../../src/observability/log.ts';
import { createRunnerLauncher, type RunnerLauncherOptions } from '../../src/runners/host/launcher.ts';
import type { Runner, RunnerStatus } from '../../src/runners/runner.ts';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const FIXTURES = new URL('../fixtures/runners/', import.meta.url);
const WAIT = { timeout: 10_000, interval: 10 };

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 30_000 });

interface LogLine {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A runner of a fixture program that is stopped when the test ends; with all statuses that it had and all that it logged. */
function launch(
  program: string,
  { folder = '/models/digits/1', ...change }: Partial<RunnerLauncherOptions> & { folder?: string } = {},
): { runner: Runner; states: RunnerStatus[]; log: LogLine[] } {
  const log: LogLine[] = [];
  const at = (level: string) => (fields: object, message: string) => void log.push({ level, fields: { ...fields }, message });
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const launcher = createRunnerLauncher({
    loadTimeoutMs: 20_000,
    heartbeatMs: 1_000,
    unresponsiveMs: 20_000,
    restartBackoffMs: 10,
    maxRestarts: 3,
    logger,
    env: process.env,
    childProgram: new URL(program, FIXTURES),
    ...change,
  });
  const runner = launcher.launch({ folder, format: 'onnx', engine: undefined, threads: 1 });
  const states: RunnerStatus[] = [];
  runner.onStatus((status) => states.push(status));
  cleanups.push(() => runner.stop());
  return { runner, states, log };
}

function floats(...values: number[]): NamedTensors {
  return new Map([['x', { dtype: 'FP32', shape: [values.length], data: Float32Array.from(values) }]]);
}

/** The elements as plain values, byte strings as hex, whichever array holds them. */
function elementsOf(tensor: Tensor | undefined): unknown[] {
  const elements: Iterable<unknown> = tensor?.data ?? [];
  return [...elements].map((element) => (element instanceof Uint8Array ? Buffer.from(element).toString('hex') : element));
}

async function echo(runner: Runner, ...values: number[]): Promise<number[]> {
  const { outputs } = await runner.run([floats(...values)], ['x']);
  return Array.from(outputs.get('x')?.data as Float32Array);
}

async function failureOf(promise: Promise<unknown>): Promise<SlipwayError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof SlipwayError)) throw new Error(`expected a SlipwayError, got ${String(outcome)}`);
  return outcome;
}

/** Whether a process still runs; a zombie that nobody has reaped does not. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  if (existsSync('/proc/self/stat')) {
    try {
      return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(path, 'utf8'));
    } catch {
      return false;
    }
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function reached(states: readonly RunnerStatus[], state: RunnerStatus['state']): boolean {
  return states.some((status) => status.state === state);
}

describe('a runner that behaves', () => {
  it('tells what it loaded and answers', async () => {
    const { runner, states } = launch('echo.ts');
    expect(runner.status.state).toBe('starting');
    const info = await runner.ready();
    expect(info).toMatchObject({ engine: 'onnx', backend: 'cpu', device: 'cpu', reason: 'a test echoes' });
    expect(info.memoryBytes).toBeGreaterThan(10e6);
    expect(isAlive(info.pid)).toBe(true);
    expect(await echo(runner, 1.5, -2)).toEqual([1.5, -2]);
    expect(states).toEqual([{ state: 'ready', info }]);
    expect(runner.inFlight).toBe(0);
    await runner.stop();
    expect(isAlive(info.pid)).toBe(false);
    expect(runner.status.state).toBe('stopped');
  });

  it('answers many requests in flight, each with its own tensors, small and large', async () => {
    const { runner } = launch('echo.ts');
    await runner.ready();
    const sizes = [1, 7, 750, 25_000, 2, 500_000, 3, 100_000];
    const answers = sizes.map((size, index) =>
      runner.run([new Map([['x', { dtype: 'FP32', shape: [size], data: new Float32Array(size).fill(index) }]])], ['x']),
    );
    expect(runner.inFlight).toBe(sizes.length);
    const results = await Promise.all(answers);
    results.forEach(({ outputs, computeNs }, index) => {
      const data = outputs.get('x')?.data as Float32Array;
      expect(data.length).toBe(sizes[index]);
      expect(data.every((value) => value === index)).toBe(true);
      expect(computeNs).toBeGreaterThanOrEqual(0);
    });
    expect(runner.inFlight).toBe(0);
  });

  it('runs one request at a time', async () => {
    const { runner } = launch('report-overlap.ts');
    await runner.ready();
    const overlaps = await Promise.all(Array.from({ length: 20 }, () => echo(runner, 0)));
    expect(overlaps.flat()).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('carries every dtype and odd names bit for bit', async () => {
    const { runner } = launch('echo.ts');
    await runner.ready();
    const inputs: NamedTensors = new Map([
      ['__proto__', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
      ['größe/ä\n', { dtype: 'INT64', shape: [1, 2], data: BigInt64Array.of(-1n, 2n ** 60n) }],
      ['', { dtype: 'BYTES', shape: [3], data: [Buffer.from('a'), new Uint8Array(0), Uint8Array.of(255, 0)] }],
      ['scalar', { dtype: 'FP64', shape: [], data: Float64Array.of(Number.NaN) }],
      ['empty', { dtype: 'FP32', shape: [0, 4], data: new Float32Array(0) }],
      ['half', { dtype: 'FP16', shape: [1], data: Uint16Array.of(0x3c00) }],
    ]);
    const { outputs } = await runner.run([inputs], []);
    expect([...outputs.keys()]).toEqual([...inputs.keys()]);
    for (const [name, tensor] of inputs) {
      const back = outputs.get(name);
      expect({ dtype: back?.dtype, shape: back?.shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
      expect(elementsOf(back)).toEqual(elementsOf(tensor));
    }
  });

  it('passes an error of the engine on with its code and goes on', async () => {
    const { runner } = launch('throw-in-run.ts');
    await runner.ready();
    const coded = await failureOf(runner.run([floats(1)], ['x']));
    expect(coded.code).toBe('INPUT_MISMATCH');
    expect(coded.details).toEqual([{ path: 'inputs.x', message: 'odd' }]);
    const plain = await failureOf(runner.run([floats(2)], ['x']));
    expect(plain.code).toBe('INFERENCE_FAILED');
    expect(plain.message).toBe('the engine broke');
    expect(await echo(runner, 4)).toEqual([4]);
    expect(runner.restarts).toBe(0);
  });

  it('refuses tensors over the largest frame without touching the process', async () => {
    const { runner } = launch('echo.ts', { maxFrameBytes: 64 * 1024 });
    await runner.ready();
    const error = await failureOf(runner.run([floats(...Array.from({ length: 20_000 }, () => 1))], ['x']));
    expect(error.code).toBe('BODY_TOO_LARGE');
    expect(await echo(runner, 4)).toEqual([4]);
  });

  it('logs what libraries print, line by line', async () => {
    const { runner, log } = launch('print.ts');
    await runner.ready();
    await echo(runner, 1);
    await runner.stop();
    const printed = log.filter(({ fields }) => 'stream' in fields).map(({ level, fields, message }) => [level, fields['stream'], message]);
    expect(printed).toHaveLength(4);
    expect(printed).toEqual(
      expect.arrayContaining([
        ['debug', 'stdout', 'a library says hello'],
        ['debug', 'stdout', 'and is cut in two'],
        ['debug', 'stdout', 'a run prints'],
        ['warn', 'stderr', 'a library warns'],
      ]),
    );
  });

  it('gets only the environment that it needs', async () => {
    const { runner, log } = launch('print-environment.ts', { env: { ...process.env, DATABASE_PASSWORD: 'secret', OMP_NUM_THREADS: '3' } });
    await runner.ready();
    await runner.stop();
    const names = log.filter(({ fields }) => fields['stream'] === 'stdout').map(({ message }) => message);
    expect(names).toContain('OMP_NUM_THREADS');
    expect(names).not.toContain('DATABASE_PASSWORD');
  });
});

describe("Slipway's own runner program", () => {
  const own: Partial<RunnerLauncherOptions> = { childProgram: new URL('../../src/runners/child/main.ts', import.meta.url) };

  /** A version folder with a model that doubles `x`, of any length, into `y`. */
  async function doublingModel(): Promise<string> {
    const folder = await temporaryFolder();
    const value = (name: string) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'n' }] } } } });
    const graph = {
      name: 'double',
      node: [{ opType: 'Add', input: ['x', 'x'], output: ['y'] }],
      input: [value('x')],
      output: [value('y')],
    };
    const model = onnx.ModelProto.fromObject({ irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph });
    await writeFile(join(folder, 'model.onnx'), onnx.ModelProto.encode(model).finish());
    return folder;
  }

  it('loads a model and runs it', async () => {
    const { runner } = launch('', { ...own, folder: await doublingModel() });
    const info = await runner.ready();
    expect(info).toMatchObject({ engine: 'onnx', device: 'cpu' });
    expect(info.signature).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1] }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [-1] }],
    });
    const { outputs, computeNs } = await runner.run([floats(1, 2.5)], ['y']);
    expect(elementsOf(outputs.get('y'))).toEqual([2, 5]);
    expect(computeNs).toBeGreaterThan(0);
  });

  it('is failed with the reason of the engine for a folder without a model', async () => {
    const { runner } = launch('', { ...own, folder: await temporaryFolder() });
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('INVALID_MODEL');
    expect(error.message).toContain('model.onnx');
    expect(runner.restarts).toBe(0);
  });

  it('ignores the signals that a terminal sends to the whole group', async () => {
    const { runner } = launch('', { ...own, folder: await doublingModel() });
    const { pid } = await runner.ready();
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    await runner.run([floats(1)], ['y']);
    expect((await runner.ready()).pid).toBe(pid);
  });
});

describe('a runner that crashes', () => {
  it('fails only what was in the process, comes back and serves', async () => {
    const { runner, states } = launch('exit-mid-run.ts');
    const first = await runner.ready();
    expect(await echo(runner, 1)).toEqual([1]);
    const doomed = [runner.run([floats(13)], ['x']), runner.run([floats(2)], ['x'])];
    for (const request of doomed) {
      const error = await failureOf(request);
      expect(error.code).toBe('RUNNER_CRASHED');
      expect(error.message).toContain('exit code 7');
      expect(error.message).toContain('may be sent again');
      expect(error.retryAfterMs).toBe(10);
    }
    const second = await runner.ready();
    expect(second.pid).not.toBe(first.pid);
    expect(await echo(runner, 2)).toEqual([2]);
    expect(runner.restarts).toBe(1);
    expect(states.map(({ state }) => state)).toEqual(['ready', 'restarting', 'ready']);
    expect(states[1]).toMatchObject({ retryAfterMs: 10, info: first });
    expect(isAlive(first.pid)).toBe(false);
  });

  it('refuses requests with MODEL_NOT_READY until it is back', async () => {
    const { runner } = launch('exit-mid-run.ts', { restartBackoffMs: 300 });
    expect((await failureOf(runner.run([floats(1)], ['x']))).code).toBe('MODEL_NOT_READY');
    await runner.ready();
    await failureOf(runner.run([floats(13)], ['x']));
    const error = await failureOf(runner.run([floats(1)], ['x']));
    expect(error.code).toBe('MODEL_NOT_READY');
    expect(error.retryAfterMs).toBe(300);
    expect(error.message).toContain('exit code 7');
    await runner.ready();
    expect(await echo(runner, 1)).toEqual([1]);
  });

  it('comes back after a kill from outside and names the likely cause', async () => {
    const { runner, states } = launch('echo.ts');
    const { pid } = await runner.ready();
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => reached(states, 'restarting'), WAIT).toBe(true);
    expect(states[1]).toMatchObject({ reason: expect.stringMatching(/SIGKILL.*out of memory/) });
    await runner.ready();
    expect(await echo(runner, 3)).toEqual([3]);
  });

  it('reports a defect that nobody caught', async () => {
    const { runner, states, log } = launch('throw-outside-run.ts');
    await runner.ready();
    const error = await failureOf(runner.run([floats(1)], ['x']));
    expect(error.code).toBe('RUNNER_CRASHED');
    expect(error.message).toContain('exit code 1');
    expect(states[1]).toMatchObject({ reason: expect.stringContaining('a callback has a defect') });
    await runner.ready();
    expect(log.some(({ message }) => message.includes('throw-outside-run.ts'))).toBe(true);
  });

  it('is given up after too many crashes in a row, with how it ended and what it printed', async () => {
    const { runner, states } = launch('crash-on-load.ts', { maxRestarts: 2 });
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toContain('exit code 9');
    expect(error.message).toContain('the native parser gave up');
    expect(error.message).toContain('3 times in a row');
    expect(runner.restarts).toBe(2);
    expect(states.map((status) => (status.state === 'restarting' ? status.retryAfterMs : status.state))).toEqual([10, 20, 'failed']);
    expect((await failureOf(runner.run([floats(1)], ['x']))).code).toBe('MODEL_FAILED');
    expect(await failureOf(runner.ready())).toBe(error);
  });

  it('is not given up when it served long enough between its crashes', async () => {
    const { runner } = launch('exit-mid-run.ts', { maxRestarts: 1, settledAfterMs: 0 });
    for (let crash = 0; crash < 3; crash += 1) {
      await runner.ready();
      await failureOf(runner.run([floats(13)], ['x']));
    }
    await runner.ready();
    expect(runner.restarts).toBe(3);
    expect(await echo(runner, 1)).toEqual([1]);
  });

  it('is given up when it crashes again too soon', async () => {
    const { runner } = launch('exit-mid-run.ts', { maxRestarts: 1 });
    await runner.ready();
    await failureOf(runner.run([floats(13)], ['x']));
    await runner.ready();
    await failureOf(runner.run([floats(13)], ['x']));
    expect(runner.status.state).toBe('failed');
  });

  it('is failed at once when the engine refuses the model', async () => {
    const { runner, states } = launch('refuse-load.ts');
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('INVALID_MODEL');
    expect(error.message).toBe('model.onnx is damaged at byte 12.');
    expect(states.map(({ state }) => state)).toEqual(['failed']);
    expect(runner.restarts).toBe(0);
  });

  it('is failed when its program cannot be started', async () => {
    const { runner } = launch('there-is-no-such-program.ts', { maxRestarts: 0 });
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toContain('there-is-no-such-program.ts');
  });
});

describe('a runner that hangs', () => {
  it('is ended when one run takes too long', async () => {
    const { runner } = launch('never-answer.ts', { unresponsiveMs: 200, heartbeatMs: 50 });
    const { pid } = await runner.ready();
    const error = await failureOf(runner.run([floats(13)], ['x']));
    expect(error.code).toBe('RUNNER_UNRESPONSIVE');
    expect(error.message).toContain('200 ms');
    await runner.ready();
    expect(isAlive(pid)).toBe(false);
    expect(await echo(runner, 1)).toEqual([1]);
  });

  it('is ended when it answers no ping while idle', async () => {
    const { runner, states } = launch('freeze-when-idle.ts', { unresponsiveMs: 200, heartbeatMs: 50 });
    await runner.ready();
    expect(await echo(runner, 1)).toEqual([1]);
    await expect.poll(() => reached(states, 'restarting'), WAIT).toBe(true);
    await runner.ready();
  });

  it('lives on while idle when it answers its pings', async () => {
    const { runner, states } = launch('echo.ts', { unresponsiveMs: 100, heartbeatMs: 10 });
    const { pid } = await runner.ready();
    // Three times as long as silence would have taken to end it.
    const until = performance.now() + 300;
    await expect.poll(() => performance.now() > until, WAIT).toBe(true);
    expect(await echo(runner, 1)).toEqual([1]);
    expect((await runner.ready()).pid).toBe(pid);
    expect(states).toHaveLength(1);
  });

  it('is failed when it does not load in time', async () => {
    const { runner } = launch('slow-load.ts', { loadTimeoutMs: 300 });
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toContain('300 ms');
    expect(error.message).toContain('runners.loadTimeoutMs');
    expect(runner.restarts).toBe(0);
  });
});

describe('a runner that breaks the protocol', () => {
  it.each([
    ['answer-rubbish.ts', /protocol.*announced/],
    ['wrong-version.ts', /protocol version 999, the server \d/],
    ['answer-unasked.ts', /answered run 5/],
    ['close-connection.ts', /closed its connection/],
  ])('%s is ended and counts as a crash', async (program, reason) => {
    const { runner, states } = launch(program, { maxRestarts: 1 });
    const error = await failureOf(runner.ready());
    expect(error.code).toBe('MODEL_FAILED');
    expect(error.message).toMatch(reason);
    expect(states.map(({ state }) => state)).toEqual(['restarting', 'failed']);
  });
});

describe('stopping', () => {
  it('while it loads ends the process and fails who waits', async () => {
    const { runner } = launch('slow-load.ts');
    const waiting = failureOf(runner.ready());
    await runner.stop();
    expect((await waiting).code).toBe('MODEL_NOT_READY');
    expect(runner.status.state).toBe('stopped');
  });

  it('twice is the same as once, and nothing runs afterwards', async () => {
    const { runner, states } = launch('echo.ts');
    await runner.ready();
    await Promise.all([runner.stop(), runner.stop()]);
    await runner.stop();
    expect(states.map(({ state }) => state)).toEqual(['ready', 'stopped']);
    expect((await failureOf(runner.run([floats(1)], ['x']))).code).toBe('MODEL_NOT_READY');
    expect((await failureOf(runner.ready())).code).toBe('MODEL_NOT_READY');
  });

  it('fails requests in flight', async () => {
    const { runner } = launch('throw-in-run.ts');
    await runner.ready();
    const doomed = failureOf(runner.run([floats(4)], ['x']));
    const stopped = runner.stop();
    expect((await doomed).code).toBe('RUNNER_CRASHED');
    await stopped;
  });

  it('kills a process that does not end when asked to', async () => {
    const { runner } = launch('ignore-stop.ts', { stopGraceMs: 50 });
    const { pid } = await runner.ready();
    await runner.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('during the wait for a restart starts nothing any more', async () => {
    const { runner, states } = launch('crash-on-load.ts', { restartBackoffMs: 60_000 });
    await expect.poll(() => reached(states, 'restarting'), WAIT).toBe(true);
    await runner.stop();
    expect(runner.restarts).toBe(0);
    expect(runner.status.state).toBe('stopped');
  });

  it('leaves no process, handle or listener behind, however often', async () => {
    const cycles = 20;
    const openFiles = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);
    const handles = () => process.getActiveResourcesInfo().filter((name) => /Pipe|Process/.test(name)).length;
    const count = () => openFiles() + handles() + process.listenerCount('exit');
    const before = count();
    const pids: number[] = [];
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const { runner } = launch('echo.ts');
      const { pid } = await runner.ready();
      pids.push(pid);
      await echo(runner, cycle);
      await runner.stop();
    }
    expect(pids.filter(isAlive)).toEqual([]);
    // Whatever else happens in this process meanwhile is far from one thing left behind in each cycle.
    await expect.poll(() => count() - before, WAIT).toBeLessThan(cycles / 2);
  });
});

describe('the end of the host', () => {
  /** Starts the host fixture; its first printed line is the process id of its runner. */
  async function startHost(...args: string[]): Promise<{ host: ChildProcess; runnerPid: number }> {
    const host = spawn(process.execPath, [fileURLToPath(new URL('host.ts', FIXTURES)), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => host.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: host.stdout }), 'line')) as [string];
    return { host, runnerPid: Number(line) };
  }

  it('by a kill ends its runners', async () => {
    const { host, runnerPid } = await startHost('echo.ts');
    expect(isAlive(runnerPid)).toBe(true);
    host.kill('SIGKILL');
    await expect.poll(() => isAlive(runnerPid), WAIT).toBe(false);
  });

  it('by exit ends even a runner that is stuck', async () => {
    const { runnerPid } = await startHost('never-answer.ts', 'exit');
    await expect.poll(() => isAlive(runnerPid), WAIT).toBe(false);
  });
});
