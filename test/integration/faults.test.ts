import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { addModels, runningServer, type RunningServer } from '../helpers/running-server.ts';
import { startProcess } from '../helpers/started-process.ts';
import { steadyLoad } from '../helpers/steady-load.ts';

const WAIT = { timeout: 20_000, interval: 5 };
const PATH = '/models/times-three/predict';
const BODY = JSON.stringify({ inputs: [1, 2] });

vi.setConfig({ testTimeout: 60_000 });

function versionOf({ server }: RunningServer, model = 'times-three') {
  return server.registry.describe(model).versions[0]!;
}

function runnerPid(running: RunningServer): number {
  return versionOf(running).loaded!.pid;
}

describe('a runner', () => {
  it('that is killed under load fails only what was in it, says that it may be sent again, and serves again', async () => {
    const running = await runningServer(['times-three'], { runners: { restartBackoffMs: 50 } });
    const load = steadyLoad(running.address, PATH, BODY);
    await load.more('200', 50);
    const pid = runnerPid(running);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => versionOf(running), WAIT).toMatchObject({ state: 'ready', restarts: 1 });
    await load.more('200', 50);
    const outcomes = await load.stop();
    for (const outcome of outcomes.keys()) expect(outcome).toMatch(/^(200|503 RUNNER_CRASHED|503 MODEL_NOT_READY)$/);
    // No more than each client's own request can have been in the process.
    expect(outcomes.get('503 RUNNER_CRASHED') ?? 0).toBeLessThanOrEqual(8);
    expect(runnerPid(running)).not.toBe(pid);
  });

  it('that hangs under load is found out and replaced', async () => {
    const running = await runningServer(['times-three'], { runners: { unresponsiveMs: 400, heartbeatMs: 100, restartBackoffMs: 50 } });
    const load = steadyLoad(running.address, PATH, BODY);
    await load.more('200', 50);
    const pid = runnerPid(running);
    process.kill(pid, 'SIGSTOP');
    await load.more('503 RUNNER_UNRESPONSIVE', 1);
    await load.more('200', 50);
    const outcomes = await load.stop();
    for (const outcome of outcomes.keys()) expect(outcome).toMatch(/^(200|503 RUNNER_UNRESPONSIVE|503 MODEL_NOT_READY)$/);
    expect(runnerPid(running)).not.toBe(pid);
  });
});

describe('a disk', () => {
  it('that is slow while one model loads holds up no other, and the model serves once it is read', async () => {
    const running = await runningServer(['times-three']);
    const load = steadyLoad(running.address, PATH, BODY);
    // A pipe is a file whose bytes come when somebody writes them.
    const slow = join(running.models, 'slow', '1');
    await addModels(running.models, ['digits-graph as .slow']);
    const weights = await readFile(join(running.models, '.slow', '1', 'weights.bin'));
    await rm(join(running.models, '.slow', '1', 'weights.bin'));
    expect(spawnSync('mkfifo', [join(running.models, '.slow', '1', 'weights.bin')]).status).toBe(0);
    await rename(join(running.models, '.slow'), join(running.models, 'slow'));
    const pipe = await open(join(slow, 'weights.bin'), 'w'); // resolves once the runner has opened it
    onTestFinished(() => pipe.close().catch(() => undefined));
    await pipe.write(weights, 0, 1_000);
    await load.more('200', 100);
    expect(versionOf(running, 'slow').state).toBe('loading');
    const refused = await post(running.address, '/models/slow/predict', '{"inputs":[]}');
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(await failureOf(refused)).toMatchObject({ status: 503, code: 'MODEL_NOT_READY' });
    // Bytes change the pipe's time, so the load may have begun anew by now; then these are for nobody, and the file is.
    await pipe.writeFile(weights.subarray(1_000)).catch(() => undefined);
    await pipe.close();
    await writeFile(`${slow}.weights`, weights);
    await rename(`${slow}.weights`, join(slow, 'weights.bin'));
    await expect.poll(() => versionOf(running, 'slow').state, WAIT).toBe('ready');
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });

  it('that is full fails an upload with STORAGE_FULL, keeps nothing of it and goes on serving', async () => {
    // Files of this process, and of its children, may have 512 kB: a write past that fails as one to a full disk does.
    const server = await startProcess(['times-three'], { before: 'ulimit -f 1024' });
    const address = await server.address();
    await server.lineWith('ready:');
    const onnx = await failureOf(await post(address, '/models/big/versions', new Uint8Array(2_000_000), 'application/onnx'));
    expect(onnx).toMatchObject({ status: 503, code: 'STORAGE_FULL' });
    const csv = `a,b\n${'1,2\n'.repeat(500_000)}`;
    const dataset = await failureOf(await post(address, '/datasets?name=big&format=csv', csv, 'text/csv'));
    expect(dataset).toMatchObject({ status: 503, code: 'STORAGE_FULL' });
    expect(await readdir(server.models)).not.toContain('big');
    expect((await readdir(join(server.state), { recursive: true })).filter((name) => /big|model\.onnx/.test(name))).toEqual([]);
    expect((await post(address, PATH, BODY)).status).toBe(200);
  });
});

describe('a model', () => {
  it('that is swapped under load, by a new version and by new files, fails no request', async () => {
    const running = await runningServer(['times-three']);
    const load = steadyLoad(running.address, PATH, BODY);
    await load.more('200', 50);
    const folder = join(running.models, 'times-three');
    await cp(join(folder, '1'), join(folder, '2'), { recursive: true });
    await expect.poll(() => running.server.registry.describe('times-three').defaultVersion, WAIT).toBe(2);
    await expect.poll(() => versionOf(running).state, WAIT).toBe('unloaded');
    await load.more('200', 50);
    const { pid } = running.server.registry.describe('times-three').versions[1]!.loaded!;
    const model = join(folder, '2', 'model.onnx');
    await writeFile(`${model}.new`, await readFile(model));
    await rename(`${model}.new`, model);
    await expect.poll(() => running.server.registry.describe('times-three').versions[1]!.loaded?.pid, WAIT).not.toBe(pid);
    await load.more('200', 50);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });
});

describe('a client', () => {
  async function halfRequest(address: string, head: string, part: string): Promise<Socket> {
    const { port, hostname } = new URL(address);
    const socket = connect({ port: Number(port), host: hostname });
    socket.on('error', () => {});
    await once(socket, 'connect');
    await new Promise((sent) => socket.write(`${head}\r\n\r\n${part}`, sent));
    return socket;
  }

  it('that goes away in the middle of a body leaves nothing behind and disturbs nobody', async () => {
    const running = await runningServer(['times-three']);
    const load = steadyLoad(running.address, PATH, BODY);
    const connections = () =>
      new Promise<number>((resolve) => {
        const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
        setImmediate(resolve, sockets);
      });
    await load.more('200', 20);
    const before = await connections();
    for (let round = 0; round < 5; round += 1) {
      const sockets = await Promise.all([
        ...Array.from({ length: 10 }, () =>
          halfRequest(
            running.address,
            `POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9999`,
            '{"inputs":[1,',
          ),
        ),
        halfRequest(
          running.address,
          'POST /models/half/versions HTTP/1.1\r\nhost: a\r\ncontent-type: application/onnx\r\ncontent-length: 9999',
          'abc',
        ),
      ]);
      for (const [index, socket] of sockets.entries()) {
        if (index % 2 === 0) socket.destroy();
        else socket.resetAndDestroy();
      }
    }
    await load.more('200', 20);
    await expect.poll(connections, WAIT).toBeLessThanOrEqual(before);
    const files = async () => (await readdir(running.models, { recursive: true })).filter((name) => name.endsWith('.onnx'));
    await expect.poll(files, WAIT).toEqual([join('times-three', '1', 'model.onnx')]);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });
});

/** Connections that do nothing but take file handles; one that is closed comes again, until the crowd is sent away. */
async function crowd(address: string, size: number): Promise<() => void> {
  const { port, hostname } = new URL(address);
  const sockets = new Set<Socket>();
  let over = false;
  const join = (): Promise<unknown> => {
    const socket = connect({ port: Number(port), host: hostname });
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      setTimeout(() => {
        if (!over) void join();
      }, 10);
    });
    return once(socket, 'connect').catch(() => undefined);
  };
  const disperse = (): void => {
    over = true;
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(disperse);
  await Promise.all(Array.from({ length: size }, join));
  return disperse;
}

describe('a process', () => {
  it('without file handles goes on with the connections that it has, and takes new ones once there are some', async () => {
    const server = await startProcess(['times-three'], { before: 'ulimit -n 100' });
    const address = await server.address();
    await server.lineWith('ready:');
    const load = steadyLoad(address, PATH, BODY, 2);
    await load.more('200', 10);
    const disperse = await crowd(address, 150);
    await load.more('200', 50);
    disperse();
    await vi.waitFor(async () => expect((await post(address, PATH, BODY)).status).toBe(200), WAIT);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
  });

  it.runIf(existsSync('/proc/self/task'))(
    'without file handles starts a crashed runner again once there are some, however often it has tried',
    async () => {
      const args = ['--runners-restart-backoff-ms', '150', '--runners-max-restarts', '1'];
      const server = await startProcess(['times-three'], { before: 'ulimit -n 100', args });
      const address = await server.address();
      await server.lineWith('ready:');
      const pid = Number(readFileSync(`/proc/${server.child.pid}/task/${server.child.pid}/children`, 'utf8'));
      const load = steadyLoad(address, PATH, BODY, 2);
      await load.more('200', 10);
      const disperse = await crowd(address, 150);
      process.kill(pid, 'SIGKILL');
      await vi.waitFor(() => {
        const tries = server.lines.filter(({ reason }) => /could not be started|open files/.test(reason ?? ''));
        expect(tries.length).toBeGreaterThan(2);
      }, WAIT);
      disperse();
      await load.more('200', 10);
      for (const outcome of (await load.stop()).keys()) expect(outcome).toMatch(/^(200|503 RUNNER_CRASHED|503 MODEL_NOT_READY)$/);
    },
  );

  it('that is asked to end under load answers every request that it accepted', async () => {
    const server = await startProcess(['times-three']);
    const address = await server.address();
    await server.lineWith('ready:');
    const load = steadyLoad(address, PATH, BODY, 16);
    await load.more('200', 200);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect([...(await load.stop()).keys()]).toEqual(['200']);
    expect(load.turnedAway).toBe(16);
  });
});

describe('the clock on the wall', () => {
  it.each([
    ['a day back', -86_400_000],
    ['a day ahead', 86_400_000],
  ])('may jump %s under load', async (_jump, byMs) => {
    const running = await runningServer(['times-three'], {
      memory: { idleTimeoutMs: 600_000, measureMs: 50 },
      runners: { heartbeatMs: 50, unresponsiveMs: 2_000 },
      repository: { pollMs: 50 },
    });
    const load = steadyLoad(running.address, PATH, BODY);
    await load.more('200', 50);
    const pid = runnerPid(running);
    const now = Date.now.bind(Date);
    const spy = vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs);
    onTestFinished(() => spy.mockRestore());
    await load.more('200', 200);
    const folder = join(running.models, 'times-three-graph');
    await mkdir(folder);
    await addModels(running.models, ['times-three-graph']);
    await expect.poll(() => running.server.registry.list().map(({ name }) => name), WAIT).toContain('times-three-graph');
    expect([...(await load.stop()).keys()]).toEqual(['200']);
    expect(runnerPid(running)).toBe(pid);
  });
});
