import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { post } from '../helpers/http.ts';
import { PROGRAM, startProcess } from '../helpers/started-process.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the process', () => {
  it('says in one line which models are ready, on which engine and device, and which failed', async () => {
    const { lineWith } = await startProcess(['times-three', 'times-three-graph', 'broken-onnx']);
    const { msg } = await lineWith('ready:');
    expect(msg).toContain('times-three/1 (onnx on cpu)');
    expect(msg).toContain('times-three-graph/1 (tfjs on cpu)');
    expect(msg).toMatch(/failed: broken-onnx\/1 \(.*model\.onnx/);
  });

  it('finishes work in flight on SIGTERM, takes no more, ends its runners and exits with 0', async () => {
    // Long enough for the connections below to be taken in, however busy the machine is.
    const server = await startProcess(['times-three'], { args: ['--shutdown-unready-ms', '2000'] });
    const address = await server.address();
    await server.lineWith('ready:');
    const runnerPids = existsSync('/proc')
      ? readFileSync(`/proc/${server.child.pid}/task/${server.child.pid}/children`, 'utf8').trim().split(' ').map(Number)
      : [];
    const body = JSON.stringify({ model: 'times-three', inputs: Array.from({ length: 200_000 }, (_value, index) => index) });
    const answers = Array.from({ length: 8 }, () => post(address, '/predict', body));
    await vi.waitFor(() => fetch(`${address}/livez`).then((answer) => expect(answer.status).toBe(200)));
    server.child.kill('SIGTERM');
    for (const answer of await Promise.all(answers)) {
      const { outputs } = (await answer.json()) as { outputs: { y: number[] } };
      expect(outputs.y).toHaveLength(200_000);
    }
    expect(await server.exited).toBe(0);
    expect(runnerPids.filter(isAlive)).toEqual([]);
    await expect(fetch(`${address}/livez`)).rejects.toThrow();
  });

  it('leaves nothing in the home of its user: what ONNX Runtime would report to its maker, it would keep there', async () => {
    const home = await temporaryFolder();
    const server = await startProcess(['digits'], { env: { HOME: home } });
    await server.lineWith('ready: digits/1 (onnx on cpu)');
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(await readdir(home)).toEqual([]);
  });

  it('stops when npm, which has started it through a shell, is ended', async () => {
    const folder = await temporaryFolder();
    const shell = spawn('sh', ['-c', `"${process.execPath}" "${PROGRAM}" --port 0 --grpc-port 0 --models "${folder}"; true`], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], npm_lifecycle_event: 'start' },
    });
    const lines: string[] = [];
    const ended = once(
      createInterface({ input: shell.stdout }).on('line', (line) => lines.push(line)),
      'close',
    );
    await vi.waitFor(() => expect(lines.join()).toContain('ready:'), { timeout: 20_000 });
    shell.kill('SIGTERM');
    // The server holds the other end of the pipe until it has ended.
    await ended;
    expect(lines.at(-1)).toContain('"stopped"');
  });

  it('takes settings from the environment, and flags before those', async () => {
    const { lineWith } = await startProcess([], {
      args: ['--host', '127.0.0.1'],
      env: { SLIPWAY_HOST: '203.0.113.1', SLIPWAY_LOGGING_LEVEL: 'info' },
    });
    expect((await lineWith('listening on')).msg).toContain('http://127.0.0.1:');
  });

  it.each([
    [['--prot', '1'], '--prot'],
    [['--port', 'many'], '--port'],
    [['--config', '/nowhere.json'], '/nowhere.json'],
  ])('ends with status 2 and one clear line for %j', async (args, named) => {
    const server = await startProcess([], { args });
    expect(await server.exited).toBe(2);
    expect(server.stderr().trim().split('\n')).toHaveLength(1);
    expect(server.stderr()).toContain(named);
  });

  it('ends with status 1 and says why when its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const server = await startProcess(['times-three'], { args: ['--port', String(port)] });
    expect(await server.exited).toBe(1);
    expect(server.lines.at(-1)!.msg).toContain('EADDRINUSE');
  });
});
