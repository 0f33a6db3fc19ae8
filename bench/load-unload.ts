/**
 * Loads and unloads one model many times and watches resident memory, file handles and processes of the gateway.
 * Usage: node bench/load-unload.ts [times=200]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './lib/digits.ts';
import { descendantsOf, openFiles, residentBytes, startServer } from './lib/processes.ts';

const times = Number(process.argv[2] ?? 200);
const state = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const server = await startServer([
  '--max-semi-space-size=8',
  join(ROOT, 'bin/slipway.js'),
  '--port',
  '0',
  '--grpc-port',
  '0',
  '--models',
  join(ROOT, 'models'),
  '--state',
  state,
]);

async function change(verb: 'load' | 'unload'): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${server.port}/models/digits/${verb}`, { method: 'POST' });
  if (!answer.ok) throw new Error(`${verb}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

const show = (): string =>
  `gateway ${(residentBytes(server.pid) / 1e6).toFixed(1)} MB, ${openFiles(server.pid)} file handles, ${descendantsOf(server.pid).length} runner processes`;

try {
  await change('load');
  for (let done = 1; done <= times; done += 1) {
    await change('unload');
    if (descendantsOf(server.pid).length !== 0) throw new Error(`round ${done}: a runner lives on after unload`);
    if (done % (times / 10) === 0 || done === 1) console.log(`after ${done} unloads: ${show()}`);
    await change('load');
  }
} finally {
  await server.stop();
  rmSync(state, { recursive: true, force: true });
}
