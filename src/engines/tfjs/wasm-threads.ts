import { createRequire } from 'node:module';
import os from 'node:os';
import workerThreads, { type WorkerOptions } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';

/*
 * The wasm backend of tfjs comes with a build that computes on several threads, but tfjs takes it in browsers only. The
 * build itself runs under Node. What is between them is said here at each place; all of it is undone once the backend
 * has started. https://github.com/tensorflow/tfjs/issues/3830
 */

/** The build starts so many workers at once, whether it will use them or not. */
const MOST_THREADS = 8;

/** The program of a worker: what tfjs would hand over as a blob, which Node's workers cannot load. */
function workerProgram(): string {
  const require = createRequire(import.meta.url);
  const build = require.resolve('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js');
  const { wasmWorkerContents } = require('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.worker.js') as {
    wasmWorkerContents: string;
  };
  return [
    `globalThis.WasmBackendModuleThreadedSimd = require(${JSON.stringify(build)});`,
    // The text is that of a program inside a template literal, where a line feed has lost its backslash.
    wasmWorkerContents.replaceAll('\n', String.raw`\n`),
    'globalThis.importScripts = () => {};', // it would load what is required above
  ].join('\n');
}

/** Keeps count of the workers that are made, and of those among them that compute. */
function createWorkerClass(): { readonly WorkerClass: typeof workerThreads.Worker; endIdle(): void } {
  const program = workerProgram();
  const made = new Set<workerThreads.Worker>();
  const busy = new Set<workerThreads.Worker>();
  class WasmWorker extends workerThreads.Worker {
    constructor(_blob: string | URL, options?: WorkerOptions) {
      super(program, { ...options, eval: true });
      made.add(this);
    }

    override postMessage(message: unknown, transfer?: Parameters<workerThreads.Worker['postMessage']>[1]): void {
      if ((message as { readonly cmd?: string }).cmd === 'run') busy.add(this);
      super.postMessage(message, transfer);
    }
  }
  return {
    WorkerClass: WasmWorker,
    endIdle() {
      // Each holds a whole JavaScript engine. No thread is made after the backend has started.
      for (const worker of made) if (!busy.has(worker)) void worker.terminate();
    },
  };
}

/**
 * Starts the wasm backend on threads.
 * @param threads how many compute; more than 8 are 8.
 * @param start starts the backend.
 */
export async function startOnThreads<Result>(threads: number, start: () => Promise<Result>): Promise<Result> {
  const { setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  const count = Math.min(threads, MOST_THREADS);
  const { WorkerClass, endIdle } = createWorkerClass();
  const { cpus } = os;
  const { Worker } = workerThreads;
  const own = globalThis as { Worker?: unknown };
  const hadWorker = Object.hasOwn(own, 'Worker');
  try {
    // tfjs says that Node has no threads.
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
    setThreadsCount(count);
    // The build takes no more threads than half of the cores that it sees.
    os.cpus = () => Array.from({ length: 2 * count }, () => cpus()[0]!);
    workerThreads.Worker = WorkerClass;
    return await start();
  } finally {
    os.cpus = cpus;
    workerThreads.Worker = Worker;
    if (!hadWorker) delete own.Worker; // Emscripten leaves it there
    endIdle();
  }
}
