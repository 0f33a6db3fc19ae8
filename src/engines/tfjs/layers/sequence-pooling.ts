import * as tf from '@tensorflow/tfjs-core';
import { type CallArguments } from './attention.ts';
import { type LayerArguments, WeightedLayer } from './weighted-layer.ts';

/**
 * One row of features for a sequence, of the steps that are not masked: their mean, or the last of them. tfjs' own
 * poolings count masked steps, too. Of a sequence that is masked as a whole the mean is 0 and the last step the first.
 */
export class SequencePooling extends WeightedLayer {
  static readonly className = 'SequencePooling';
  readonly #mode: 'mean' | 'last';

  constructor(args: LayerArguments) {
    super(args, ['mode']);
    const { mode = 'mean' } = args as { mode?: unknown };
    if (mode !== 'mean' && mode !== 'last') throw new Error('mode must be "mean" or "last"');
    this.#mode = mode;
  }

  override computeOutputShape(inputShape: tf.Tensor['shape']): tf.Tensor['shape'] {
    return [inputShape[0], inputShape.at(-1)!];
  }

  /** What it gives has no steps, so no mask. */
  override computeMask(): tf.Tensor {
    return null as unknown as tf.Tensor;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], { mask }: CallArguments): tf.Tensor {
    return tf.tidy(() => {
      const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor3D;
      const [batch, steps] = x.shape;
      const counted = mask === undefined || mask === null ? tf.ones([batch, steps]) : tf.cast(mask, 'float32');
      const shares = this.#mode === 'mean' ? tf.div(counted, tf.maximum(tf.sum(counted, 1, true), 1)) : lastOnes(counted, steps);
      return tf.squeeze(tf.matMul(tf.expandDims(shares, 1), x), [1]);
    });
  }
}

/** 1 for the last step that counts and 0 for the others. */
function lastOnes(counted: tf.Tensor, steps: number): tf.Tensor {
  const places = tf.range(0, steps);
  return tf.cast(tf.equal(places, tf.max(tf.mul(places, counted), 1, true)), 'float32');
}
