import { readFile } from 'node:fs/promises';

/** Processes may start others while they are counted; a tree of more is not looked at to its end. */
const MAX_PROCESSES = 10_000;

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text
    .split(' ')
    .map(Number)
    .filter((child) => child > 0);
}

/**
 * A process and all that it has started, those too that they have started. From Linux; elsewhere the process alone.
 * What another thread than the first has started is not seen: Node starts processes from its first.
 */
export async function processTree(root: number): Promise<number[]> {
  const found = [root];
  for (let at = 0; at < found.length && found.length < MAX_PROCESSES; at += 1) found.push(...(await childrenOf(found[at]!)));
  return found;
}
