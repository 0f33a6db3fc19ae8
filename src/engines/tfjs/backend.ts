import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { messageOf } from '../../errors/slipway-error.ts';
import type { DeviceKind, TfjsBackend, Wisher } from '../engine.ts';
import type { TensorFlowOptions } from '../tensorflow/binding.ts';

/** Those that are tried unless others are asked for, fastest first for models of usual sizes. */
export const BACKENDS = ['wasm', 'cpu'] as const satisfies readonly TfjsBackend[];

const PROCESS_EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/**
 * Emscripten adds process-wide handlers that throw; they would end a runner before it can report what happened.
 * Whatever `work` adds is taken away again.
 */
async function withoutNewHandlers<Result>(work: () => Promise<Result>): Promise<Result> {
  const before = new Map(PROCESS_EVENTS.map((event) => [event, new Set<unknown>(process.rawListeners(event))]));
  try {
    return await work();
  } finally {
    for (const event of PROCESS_EVENTS) {
      for (const listener of process.rawListeners(event)) {
        if (before.get(event)?.has(listener) !== true) process.removeListener(event, listener as (...args: unknown[]) => void);
      }
    }
  }
}

async function startWasm(threads: number): Promise<boolean> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  const start = (): Promise<boolean> => tf.setBackend('wasm');
  // A backend that has started keeps its threads.
  if (threads === 1 || tf.engine().registry['wasm'] !== undefined) return start();
  const { startOnThreads } = await import('./wasm-threads.ts');
  return startOnThreads(threads, start);
}

async function startCpu(): Promise<boolean> {
  await import('@tensorflow/tfjs-backend-cpu');
  return tf.setBackend('cpu');
}

/** Of the backends wasm and tensorflow, which keep what they were started with. Threads are 1 when left out. */
export interface BackendOptions extends TensorFlowOptions {
  readonly wishedBy?: Wisher | undefined;
}

const STARTS: Readonly<Record<TfjsBackend, (options: BackendOptions) => Promise<boolean>>> = {
  tensorflow: async (options) => (await import('./tensorflow-backend.ts')).startTensorFlow(options),
  webgpu: async (options) => (await import('./webgpu-backend.ts')).startWebGpu(options),
  wasm: ({ threads = 1 }) => startWasm(threads),
  cpu: startCpu,
};

/**
 * Makes a backend the one that computes. tfjs has one for the whole process, as it has one engine.
 * @returns undefined, or what went wrong, in words.
 */
export async function activateBackend(name: TfjsBackend, options: BackendOptions = {}): Promise<string | undefined> {
  // Ends the banners and warnings that tfjs prints to the console for developers.
  tf.enableProdMode();
  try {
    return (await withoutNewHandlers(() => STARTS[name](options))) ? undefined : 'it does not start on this machine';
  } catch (error) {
    return messageOf(error);
  }
}

/** Whether a backend is the one that computes now. */
export function isActive(name: TfjsBackend): boolean {
  return tf.getBackend() === name;
}

/** The device that a backend computes on, and what is to be said of it, once it has started. */
export async function placeOf(name: TfjsBackend): Promise<{ readonly device: DeviceKind; readonly reason: string }> {
  if (name === 'tensorflow') {
    const { openTensorFlow, reasonOf } = await import('../tensorflow/binding.ts');
    const opened = openTensorFlow({});
    return { device: opened.device, reason: `tfjs on native ${reasonOf(opened)}` };
  }
  if (name === 'webgpu') {
    const { adapterName } = await import('./webgpu-backend.ts');
    return { device: 'webgpu', reason: `tfjs on WebGPU: ${adapterName()}.` };
  }
  if (name === 'cpu') return { device: 'cpu', reason: 'tfjs in plain JavaScript, which is slow.' };
  const threads = (await import('@tensorflow/tfjs-backend-wasm')).getThreadsCount();
  return { device: 'cpu', reason: `tfjs on WebAssembly with SIMD${threads === 1 ? '' : ` and ${threads} threads`}.` };
}
