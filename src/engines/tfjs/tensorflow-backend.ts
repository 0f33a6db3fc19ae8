import { createRequire, registerHooks } from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { openTensorFlow, type TensorFlowBinding, type TensorFlowOptions } from '../tensorflow/binding.ts';

type BackendClass = new (binding: TensorFlowBinding, packageName: string) => tf.KernelBackend;

/** What tfjs-node calls of `util`: Node 23 has taken out the one, and warns of the other. */
function restoreUtil(): void {
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === undefined || value === null, isArray: Array.isArray });
}

/**
 * tfjs-node's own entry looks for a binding inside its folder and loads the union package of tfjs, which brings all that
 * browsers need. Its kernels call nothing of that but the core.
 */
function loadKernels(): BackendClass {
  const require = createRequire(import.meta.url);
  const hook = registerHooks({
    resolve: (specifier, context, next) => next(specifier === '@tensorflow/tfjs' ? '@tensorflow/tfjs-core' : specifier, context),
  });
  try {
    require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels');
    const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend') as {
      NodeJSKernelBackend: BackendClass;
    };
    return NodeJSKernelBackend;
  } finally {
    hook.deregister();
  }
}

/**
 * Starts tfjs on native TensorFlow.
 * @throws SlipwayError ENGINE_UNAVAILABLE
 */
export function startTensorFlow(options: TensorFlowOptions): Promise<boolean> {
  if (tf.engine().registryFactory['tensorflow'] === undefined) {
    const { binding } = openTensorFlow(options);
    restoreUtil();
    const Backend = loadKernels();
    tf.registerBackend('tensorflow', () => new Backend(binding, '@tensorflow/tfjs-node-gpu'));
  }
  return tf.setBackend('tensorflow');
}
