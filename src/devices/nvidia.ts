import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hasCode } from '../errors/has-code.ts';
import { messageOf } from '../errors/slipway-error.ts';
import type { Device } from './device.ts';

const run = promisify(execFile);

/** NVIDIA's program that tells of its GPUs; it comes with the driver. */
const PROGRAM = 'nvidia-smi';
const ANSWER_MS = 10_000;
/** It counts memory in mebibytes. */
const MEBIBYTE = 1024 * 1024;

async function query(what: string, fields: readonly string[], env: Readonly<NodeJS.ProcessEnv>): Promise<string[][]> {
  const args = [`--query-${what}=${fields.join(',')}`, '--format=csv,noheader,nounits'];
  const { stdout } = await run(PROGRAM, args, { env: { ...env }, timeout: ANSWER_MS });
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.split(',').map((value) => value.trim()));
}

/** A number of mebibytes; `[N/A]` and the like, as in virtual machines, count as 0. */
function bytesOf(text: string | undefined): number {
  return (Number(text) || 0) * MEBIBYTE;
}

async function readGpus(ours: ReadonlySet<number>, env: Readonly<NodeJS.ProcessEnv>): Promise<Device[]> {
  const gpus = await query('gpu', ['index', 'uuid', 'name', 'driver_version', 'memory.total', 'memory.used'], env);
  const processes = gpus.length === 0 ? [] : await query('compute-apps', ['gpu_uuid', 'pid', 'used_memory'], env);
  return gpus.map(([index = '', uuid, name = '', driver = '', total, used]) => {
    const own = processes.filter(([gpu, pid]) => gpu === uuid && ours.has(Number(pid)));
    const usedByUsBytes = own.reduce((sum, [, , bytes]) => sum + bytesOf(bytes), 0);
    const memory = { totalBytes: bytesOf(total), usedByUsBytes, usedByOthersBytes: Math.max(0, bytesOf(used) - usedByUsBytes) };
    return { id: `cuda:${index}`, kind: 'cuda', name, driver, cores: undefined, memory };
  });
}

/** What processes take of the memory of NVIDIA's GPUs, in bytes; undefined where its driver does not tell. */
export async function nvidiaBytesOf(pids: readonly number[], env: Readonly<NodeJS.ProcessEnv>): Promise<number | undefined> {
  const wanted = new Set(pids);
  try {
    const own = (await query('compute-apps', ['pid', 'used_memory'], env)).filter(([pid]) => wanted.has(Number(pid)));
    return own.length === 0 ? undefined : own.reduce((sum, [, bytes]) => sum + bytesOf(bytes), 0);
  } catch {
    return undefined;
  }
}

/**
 * NVIDIA's GPUs, as its driver tells them; or why there are none, in words for users.
 * @param ours processes of this server
 */
export async function readNvidia(ours: readonly number[], env: Readonly<NodeJS.ProcessEnv>): Promise<readonly Device[] | string> {
  try {
    const gpus = await readGpus(new Set(ours), env);
    return gpus.length > 0 ? gpus : `${PROGRAM} lists no GPU.`;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return `There is no ${PROGRAM}, which comes with the driver of NVIDIA’s GPUs.`;
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const [said = ''] = `${stderr}\n${stdout}`.trim().split('\n');
    return `${PROGRAM} fails: ${said.trim() || messageOf(error)}`;
  }
}
