import { createConfig, isFields } from '../topology/config.ts';
import type { LayerCall } from './layer-call.ts';

/** The weight of a layer that each of its regularizers is for. */
const REGULARIZED: Readonly<Record<string, string>> = {
  alpha_regularizer: 'alpha',
  beta_regularizer: 'beta',
  bias_regularizer: 'bias',
  depthwise_regularizer: 'depthwise_kernel',
  embeddings_regularizer: 'embeddings',
  gamma_regularizer: 'gamma',
  kernel_regularizer: 'kernel',
  pointwise_regularizer: 'pointwise_kernel',
  recurrent_regularizer: 'recurrent_kernel',
};

/** What tfjs takes for a factor that the file leaves out. */
const DEFAULT_FACTOR = 0.01;

/** A weight of a layer, by its name there, with l1 · Σ|w| + l2 · Σw² in the loss. */
export interface Regularizer {
  readonly weight: string;
  readonly l1: number;
  readonly l2: number;
}

/**
 * The penalties that a layer adds to the loss in training.
 * @throws SlipwayError COMPILE_FAILED for one that is on no weight, or of another class than L1L2
 */
export function regularizersOf({ config: { fields }, className, fail }: LayerCall): readonly Regularizer[] {
  const regularizers: Regularizer[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (!key.endsWith('_regularizer') || value === null) continue;
    const refuse = (): never => fail(`its "${key}" is not known in a training step in one graph; leave it out`);
    const weight = REGULARIZED[key] ?? refuse();
    const { class_name: kind, config } = isFields(value) ? value : { class_name: value, config: {} };
    if (!isFields(config) || (kind !== 'L1L2' && kind !== 'l1l2')) return refuse();
    const factors = createConfig(className, config);
    const [l1, l2] = [factors.number('l1', DEFAULT_FACTOR), factors.number('l2', DEFAULT_FACTOR)];
    if (l1 !== 0 || l2 !== 0) regularizers.push({ weight, l1, l2 });
  }
  return regularizers;
}
