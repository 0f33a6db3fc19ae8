import { readFile } from 'node:fs/promises';

/**
 * Memory of a process in bytes, from Linux: its proportional set size, in which what several processes share (Node's
 * own program, files that are mapped) is divided among them, so that the sizes of all add up to what they really take.
 * Resident memory where the kernel does not tell it, undefined on other systems. See proc(5).
 */
export async function processMemoryBytes(pid: number): Promise<number | undefined> {
  return (await kilobytesIn(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m)) ?? kilobytesIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m);
}

async function kilobytesIn(path: string, pattern: RegExp): Promise<number | undefined> {
  const found = pattern.exec(await readFile(path, 'utf8').catch(() => ''));
  return found === null ? undefined : Number(found[1]) * 1_024;
}
