import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { programFile } from '../concurrency/fork-program.ts';
import { messageOf } from '../errors/slipway-error.ts';
import type { Device } from './device.ts';

const run = promisify(execFile);
const ANSWER_MS = 10_000;
/** What was found holds so long: GPUs do not come and go often, and each look is a process. */
const REMEMBER_MS = 60_000;

/** Where Linux shows devices that a driver of Vulkan may compute on: graphics devices, NVIDIA's own and that of Windows' subsystem. */
const GRAPHICS_DEVICES = ['/dev/dri', '/dev/nvidiactl', '/dev/dxg'] as const;

/** Why there can be no GPU for WebGPU; undefined where only a try can tell. */
export function withoutWebGpu(env: Readonly<NodeJS.ProcessEnv>): string | undefined {
  if (process.platform !== 'linux' || GRAPHICS_DEVICES.some((path) => existsSync(path))) return undefined;
  if (env['VK_ICD_FILENAMES'] !== undefined || env['VK_DRIVER_FILES'] !== undefined) return undefined;
  return `There is no graphics device (${GRAPHICS_DEVICES.join(', ')}), and VK_DRIVER_FILES names no driver.`;
}

async function tell(env: Readonly<NodeJS.ProcessEnv>): Promise<readonly Device[] | string> {
  const missing = withoutWebGpu(env);
  if (missing !== undefined) return missing;
  try {
    const program = programFile('../engines/tfjs/tell-webgpu', import.meta.url);
    const { stdout } = await run(process.execPath, [program], { env: { ...env }, timeout: ANSWER_MS });
    const { name, driver } = JSON.parse(stdout) as { name: string; driver: string };
    return [{ id: 'webgpu:0', kind: 'webgpu', name, driver, cores: undefined, memory: undefined }];
  } catch (error) {
    const [said = ''] = ((error as { stderr?: string }).stderr ?? '').trim().split('\n').slice(-1);
    return `WebGPU: ${said || messageOf(error)}.`;
  }
}

/** A reader of the GPU that WebGPU takes; or why there is none, in words for users. */
export function createWebGpuReader(env: Readonly<NodeJS.ProcessEnv>): () => Promise<readonly Device[] | string> {
  let found: Promise<readonly Device[] | string> | undefined;
  let askedAt = -Infinity;
  return () => {
    if (found === undefined || performance.now() - askedAt > REMEMBER_MS) {
      askedAt = performance.now();
      found = tell(env);
    }
    return found;
  };
}
