import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { descendantsOf } from './processes.ts';

/** Ticks of `USER_HZ` in a second, as /proc counts them on every Linux. */
const TICKS = 100;

/** A measurement that others have disturbed more than this says nothing of the server. */
const MOST_FOREIGN = 0.08;

/** CPU time that everything has taken, what runs beside this virtual machine on its cores included, in seconds. */
function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/\s+/).map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS;
}

function ownSeconds(): number {
  let ticks = 0;
  for (const pid of [process.pid, ...descendantsOf(process.pid)]) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/**
 * Watches what else runs on this machine beside the benchmark and its servers. Linux only.
 * @returns a function that tells the share of all cores that others have had since.
 */
function watchForeignLoad(): () => number {
  const [startedAt, busy, own] = [performance.now(), busySeconds(), ownSeconds()];
  return () => {
    const seconds = (performance.now() - startedAt) / 1_000;
    return Math.max(0, busySeconds() - busy - (ownSeconds() - own)) / (seconds * cpus().length);
  };
}

/**
 * Measures until `rounds` measurements were not disturbed by other processes, but no more than three times as often; then
 * the least disturbed ones count.
 */
export async function undisturbed<T>(rounds: number, measure: () => Promise<T>): Promise<{ results: T[]; foreign: number }> {
  const all: { result: T; foreign: number }[] = [];
  while (all.length < 3 * rounds && all.filter(({ foreign }) => foreign <= MOST_FOREIGN).length < rounds) {
    const foreign = watchForeignLoad();
    const result = await measure();
    all.push({ result, foreign: foreign() });
  }
  const best = all.toSorted((a, b) => a.foreign - b.foreign).slice(0, rounds);
  return { results: best.map(({ result }) => result), foreign: Math.max(...best.map((each) => each.foreign)) };
}
