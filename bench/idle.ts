/**
 * What loaded models cost while nobody asks for anything: processor time of the gateway and of the runners over some
 * seconds, by the number of models. Linux only, for it reads /proc. Usage: node bench/idle.ts [seconds=10] [models=0,1,10,30]
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { ROOT } from './lib/digits.ts';
import { descendantsOf, startSlipway } from './lib/processes.ts';

const seconds = Number(process.argv[2] ?? 10);
const counts = (process.argv[3] ?? '0,1,10,30').split(',').map(Number);
/** A start leaves work behind: compilation, collections of garbage. */
const SETTLE_MS = 3_000;

/** Processor time of a process, in seconds; the kernel's own clock counts in nanoseconds (schedstat, first field). */
function processorSeconds(pid: number): number {
  const threads = readFileSync(`/proc/${pid}/schedstat`, 'utf8');
  return Number(threads.split(' ')[0]) / 1e9;
}

function wakeUps(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
}

for (const count of counts) {
  const models = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  for (let index = 0; index < count; index += 1) cpSync(join(ROOT, 'models/digits'), join(models, `digits-${index}`), { recursive: true });
  const server = await startSlipway(['--models', models, ...process.argv.slice(4)]);
  try {
    await after(SETTLE_MS);
    const runners = descendantsOf(server.pid);
    const before = [server.pid, ...runners].map((pid) => ({ pid, seconds: processorSeconds(pid), wakes: wakeUps(pid) }));
    await after(seconds * 1_000);
    const used = before.map((each) => ({
      ms: ((processorSeconds(each.pid) - each.seconds) * 1_000) / seconds,
      wakes: (wakeUps(each.pid) - each.wakes) / seconds,
    }));
    const [gateway, ...others] = used;
    const total = others.reduce((sum, { ms }) => sum + ms, 0);
    const wakes = others.reduce((sum, each) => sum + each.wakes, 0);
    console.log(
      `${count} models: in each second the gateway took ${gateway!.ms.toFixed(2)} ms and woke up ${gateway!.wakes.toFixed(1)} times; ` +
        `${others.length} runners took ${total.toFixed(2)} ms and woke up ${wakes.toFixed(1)} times together`,
    );
  } finally {
    await server.stop();
    rmSync(models, { recursive: true, force: true });
  }
}
