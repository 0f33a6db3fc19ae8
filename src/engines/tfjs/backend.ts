import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { messageOf } from '../../errors/slipway-error.ts';

/** The backends of tfjs that Slipway uses. */
export type BackendName = 'tensorflow' | 'wasm' | 'cpu';

/** Those that are tried unless others are asked for, fastest first for models of usual sizes. */
export const BACKENDS = ['wasm', 'cpu'] as const satisfies readonly BackendName[];

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

export interface BackendOptions {
  /** Threads of the backends wasm and tensorflow, which keep those that they were started with. Default 1. */
  readonly threads?: number | undefined;
  /** Folder of native TensorFlow; the backend tensorflow does not start without. */
  readonly tensorflowFolder?: string | undefined;
}

const STARTS: Readonly<Record<BackendName, (options: BackendOptions) => Promise<boolean>>> = {
  tensorflow: async ({ threads = 1, tensorflowFolder }) =>
    (await import('./tensorflow-backend.ts')).startTensorFlow(tensorflowFolder, threads),
  wasm: ({ threads = 1 }) => startWasm(threads),
  cpu: startCpu,
};

/**
 * Makes a backend the one that computes. tfjs has one for the whole process, as it has one engine.
 * @returns undefined, or what went wrong, in words.
 */
export async function activateBackend(name: BackendName, options: BackendOptions = {}): Promise<string | undefined> {
  // Ends the banners and warnings that tfjs prints to the console for developers.
  tf.enableProdMode();
  try {
    return (await withoutNewHandlers(() => STARTS[name](options))) ? undefined : 'it does not start on this machine';
  } catch (error) {
    return messageOf(error);
  }
}

/** How many threads the active backend computes on. */
export async function activeThreads(): Promise<number> {
  return tf.getBackend() === 'wasm' ? (await import('@tensorflow/tfjs-backend-wasm')).getThreadsCount() : 1;
}

/** Whether a backend is the one that computes now. */
export function isActive(name: BackendName): boolean {
  return tf.getBackend() === name;
}
