import { readCpu } from './cpu.ts';
import type { Devices } from './device.ts';
import { readNvidia } from './nvidia.ts';
import { processTree } from './processes.ts';
import { createWebGpuReader } from './webgpu.ts';

export interface DeviceOptions {
  /** Memory of a process in bytes; undefined when it is gone or the system does not tell. */
  readonly memoryOf: (pid: number) => Promise<number | undefined>;
  readonly env: Readonly<NodeJS.ProcessEnv>;
}

/** A reader of this machine's devices. Who asks while an answer is being made gets the same one. */
export function createDeviceReader({ memoryOf, env }: DeviceOptions): () => Promise<Devices> {
  let underWay: Promise<Devices> | undefined;
  const readWebGpu = createWebGpuReader(env);

  async function read(): Promise<Devices> {
    const ours = await processTree(process.pid);
    const [cpu, ...found] = await Promise.all([readCpu(ours, memoryOf), readNvidia(ours, env), readWebGpu()]);
    const gpus = found.flatMap((each) => (typeof each === 'string' ? [] : each));
    const missing = found.filter((each) => typeof each === 'string');
    return { devices: [cpu, ...gpus], withoutGpu: gpus.length === 0 ? missing.join(' ') : undefined };
  }

  return () => {
    underWay ??= read().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
