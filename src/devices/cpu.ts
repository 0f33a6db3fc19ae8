import os from 'node:os';
import type { Device } from './device.ts';

/** What the system lets this process have: all memory, or the limit of its container. */
function totalBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, os.totalmem()) : os.totalmem();
}

/**
 * The CPU and the memory of this machine.
 * @param ours processes of this server
 * @param memoryOf memory of a process in bytes; undefined when it is gone or the system does not tell
 */
export async function readCpu(ours: readonly number[], memoryOf: (pid: number) => Promise<number | undefined>): Promise<Device> {
  const sizes = await Promise.all(ours.map(memoryOf));
  const usedByUsBytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const total = totalBytes();
  const free = Math.min(process.availableMemory(), total);
  return {
    id: 'cpu',
    kind: 'cpu',
    name: os.cpus()[0]?.model.trim() || os.arch(),
    driver: undefined,
    cores: os.availableParallelism(),
    memory: { totalBytes: total, usedByUsBytes, usedByOthersBytes: Math.max(0, total - free - usedByUsBytes) },
  };
}
