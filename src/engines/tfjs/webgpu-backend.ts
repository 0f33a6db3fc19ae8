import * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Wisher } from '../engine.ts';
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
async function provideWebGpu(wishedBy: Wisher | undefined): Promise<void> {
  const opened = await openGpu();
  // Small operations tfjs computes without it, so that it seems fast where little is asked.
  if (wishedBy === 'measurement' && opened.adapter.isSoftware)
    throw new SlipwayError('ENGINE_UNAVAILABLE', `${opened.adapter.name} is a GPU in software, which is taken only where it is asked for`);
  ({ adapter } = opened);
  Object.assign(globalThis, opened.globals);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: opened.gpu, configurable: true });
}

/**
 * Starts tfjs on a GPU by WebGPU. A GPU that is lost ends the process: its memory is gone, and who started the process
 * brings the model up anew, elsewhere if need be.
 * @throws SlipwayError ENGINE_UNAVAILABLE
 */
export async function startWebGpu({ wishedBy }: { readonly wishedBy?: Wisher | undefined }): Promise<boolean> {
  if (tf.engine().registryFactory['webgpu'] === undefined) {
    await provideWebGpu(wishedBy);
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
