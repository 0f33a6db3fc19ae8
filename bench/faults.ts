/**
 * Faults under load, 16 connections that send one image after the other: how many requests failed, with which code, and
 * how long it took until all were answered again. Each fault is a server of its own. Linux only, for it finds runners in
 * /proc. Usage: node bench/faults.ts [rounds=3]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeSync, closeSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { digitsBody, ROOT } from './lib/digits.ts';
import { type BenchServer, descendantsOf, startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 3);
const CONNECTIONS = 16;
/** Before the fault, and after it at the least, in milliseconds. */
const CALM_MS = 500;
const LONGEST_MS = 20_000;
const body = digitsBody();

interface Answer {
  readonly outcome: string;
  readonly at: number;
}

interface Load {
  readonly answers: readonly Answer[];
  stop(): Promise<void>;
}

/** One predict; undefined when the server takes no connection any more. */
function ask(port: number, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const asked = request({ port, host: '127.0.0.1', path: '/predict', method: 'POST', agent, headers }, (answer) => {
      let text = '';
      answer.on('data', (piece: Buffer) => (text += piece.toString()));
      answer.once('end', () => {
        const { error } = JSON.parse(text) as { error?: { code: string } };
        resolve(error === undefined ? String(answer.statusCode) : `${answer.statusCode} ${error.code}`);
      });
      answer.once('error', () => resolve('answer cut short'));
    });
    asked.once('error', (error: NodeJS.ErrnoException) => resolve(asked.reusedSocket ? `no answer: ${error.code}` : undefined));
    asked.end(body);
  });
}

function startLoad(port: number): Load {
  const answers: Answer[] = [];
  let stopped = false;
  const clients = Array.from({ length: CONNECTIONS }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!stopped) {
      const outcome = await ask(port, agent);
      if (outcome === undefined) break;
      answers.push({ outcome, at: performance.now() });
      if (outcome !== '200') await after(5);
    }
    agent.destroy();
  });
  return {
    answers,
    async stop() {
      stopped = true;
      await Promise.all(clients);
    },
  };
}

interface Fault {
  readonly name: string;
  readonly settings?: readonly string[];
  /** Resolves when the fault is over, or left to the server. */
  readonly cause: (server: BenchServer, models: string) => Promise<void>;
}

function replaceFile(path: string): void {
  writeFileSync(`${path}.new`, readFileSync(path));
  renameSync(`${path}.new`, path);
}

const runnerOf = ({ pid }: BenchServer): number => descendantsOf(pid)[0]!;

const FAULTS: readonly Fault[] = [
  { name: 'runner killed', cause: async (server) => void process.kill(runnerOf(server), 'SIGKILL') },
  {
    name: 'runner hangs (unresponsiveMs 1000)',
    settings: ['--runners-unresponsive-ms', '1000'],
    cause: async (server) => void process.kill(runnerOf(server), 'SIGSTOP'),
  },
  {
    name: 'another model loads from a disk that takes 2 s',
    async cause(_server, models) {
      const draft = join(models, '.slow');
      cpSync(join(ROOT, 'test/fixtures/models/digits-graph'), draft, { recursive: true });
      const file = join(draft, '1', 'weights.bin');
      const bytes = readFileSync(file);
      rmSync(file);
      spawnSync('mkfifo', [file]);
      renameSync(draft, join(models, 'slow'));
      const pipe = openSync(join(models, 'slow', '1', 'weights.bin'), 'r+');
      for (let part = 0; part < 8; part += 1) {
        writeSync(pipe, bytes.subarray((part * bytes.length) / 8, ((part + 1) * bytes.length) / 8));
        await after(250);
      }
      closeSync(pipe);
    },
  },
  { name: 'its files are replaced', cause: async (_server, models) => replaceFile(join(models, 'digits', '1', 'model.onnx')) },
  {
    name: 'a new version comes',
    async cause(_server, models) {
      cpSync(join(models, 'digits', '1'), join(models, 'digits', '2'), { recursive: true });
    },
  },
  {
    name: '200 clients go away in the middle of a body',
    async cause({ port }) {
      for (let index = 0; index < 200; index += 1) {
        const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
        await new Promise((open) => socket.once('connect', open));
        socket.write(
          'POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{"model":"digits",',
        );
        setImmediate(() => socket.resetAndDestroy());
      }
    },
  },
  { name: 'SIGTERM', cause: async ({ pid }) => void process.kill(pid, 'SIGTERM') },
];

async function measure({ settings = [], cause }: Fault): Promise<{ outcomes: Map<string, number>; recoveryMs: number }> {
  const models = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
  const server = await startSlipway(['--models', models, ...settings]);
  const load = startLoad(server.port);
  try {
    await after(CALM_MS);
    const faultAt = performance.now();
    await cause(server, models);
    await after(CALM_MS);
    // Over once nothing has failed for a while, and something was answered in it.
    for (const deadline = faultAt + LONGEST_MS; performance.now() < deadline; await after(20)) {
      const late = load.answers.filter(({ at }) => at > performance.now() - CALM_MS);
      if (late.length === 0 ? load.answers.at(-1)!.outcome === '200' : late.every(({ outcome }) => outcome === '200')) break;
    }
    await load.stop();
    const lastFailure = load.answers.findLastIndex(({ outcome }) => outcome !== '200');
    const outcomes = new Map<string, number>();
    for (const { outcome } of load.answers) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const recovered = load.answers[lastFailure + 1]?.at;
    return { outcomes, recoveryMs: lastFailure === -1 ? 0 : recovered === undefined ? Infinity : recovered - faultAt };
  } finally {
    await load.stop();
    await server.stop();
    rmSync(models, { recursive: true, force: true });
  }
}

for (const fault of FAULTS) {
  const runs = [];
  for (let round = 0; round < rounds; round += 1) runs.push(await measure(fault));
  const failed = runs.map(({ outcomes }) =>
    [...outcomes]
      .filter(([outcome]) => outcome !== '200')
      .map(([outcome, count]) => `${count} × ${outcome}`)
      .join(', '),
  );
  const answered = median(runs.map(({ outcomes }) => outcomes.get('200') ?? 0));
  console.log(
    `${fault.name}: answered ${answered}; failed ${failed.map((each) => each || 'none').join(' | ')}; recovered after ${median(runs.map(({ recoveryMs }) => recoveryMs)).toFixed(0)} ms`,
  );
}
