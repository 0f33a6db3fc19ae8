import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Gives a process the lowest priority: it runs when others leave the processor. On Linux a priority belongs to a
 * thread, and those that collect garbage and compile are there before any code runs, so each is told. Threads that begin
 * later have the priority of the one that begins them.
 * @param pid of a process of this user; this one by default
 * @throws where there is no such process
 */
export function takeLowestPriority(pid = process.pid): void {
  const lowest = constants.priority.PRIORITY_LOW;
  setPriority(pid, lowest);
  if (process.platform !== 'linux') return;
  // Linux lists the threads of a process here, each by its own id.
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      setPriority(Number(thread), lowest);
    } catch {
      // It has ended in the meantime.
    }
  }
}
