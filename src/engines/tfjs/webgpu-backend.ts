import * as tf from '@tensorflow/tfjs-core';
import { type Adapter, openGpu } from './webgpu-adapter.ts';

interface LosableBackend {
  readonly device?: { readonly lost: Promise<{ readonly reason: string; readonly message: string }> };
}

let adapter: Adapter | undefined;

/** Name and driver of the GPU. */
export function adapterName(): string {
  return [adapter?.name, adapter?.driver].filter(Boolean).join(', ');
}

/** Gives tfjs what it takes a browser for: `navigator.gpu` and the classes of WebGPU. */
async function provideWebGpu(): Promise<void> {
  const opened = await openGpu();
  ({ adapter } = opened);
  Object.assign(globalThis, opened.globals);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: opened.gpu, configurable: true });
}

/**
 * Starts tfjs on a GPU by WebGPU. A GPU that is lost ends the process: its memory is gone, and who started the process
 * brings the model up anew, elsewhere if need be.
 * @throws SlipwayError ENGINE_UNAVAILABLE
 */
export async function startWebGpu(): Promise<boolean> {
  if (tf.engine().registryFactory['webgpu'] === undefined) {
    await provideWebGpu();
    await import('@tensorflow/tfjs-backend-webgpu');
  }
  const isNew = tf.engine().registry['webgpu'] === undefined;
  const started = await tf.setBackend('webgpu');
  if (started && isNew) {
    void (tf.backend() as LosableBackend).device?.lost.then(({ message }) => {
      throw new Error(`The GPU was lost: ${message}`);
    });
  }
  return started;
}
