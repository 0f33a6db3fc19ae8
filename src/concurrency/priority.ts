import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/** Linux lists the threads of a process here, each by its own id. */
const THREADS = '/proc/self/task';

/**
 * Gives this process the lowest priority: it runs when others leave the processor. On Linux a priority belongs to a
 * thread, and those that collect garbage and compile are there before any code runs, so each is told. Threads that begin
 * later have the priority of the one that begins them.
 */
export function takeLowestPriority(): void {
  const lowest = constants.priority.PRIORITY_LOW;
  setPriority(lowest);
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync(THREADS)) {
    try {
      setPriority(Number(thread), lowest);
    } catch {
      // It has ended in the meantime.
    }
  }
}
