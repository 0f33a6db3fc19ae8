import * as tf from '@tensorflow/tfjs-core';

/**
 * tfjs-layers calls a few operators as methods of tensors when it makes orthogonal weights, as recurrent layers have; under
 * Node, tfjs-core comes as one file that has no such methods. These are all that are called there.
 */
const METHODS: Readonly<Record<string, (this: tf.Tensor, ...args: never[]) => tf.Tensor>> = {
  flatten() {
    return tf.reshape(this, [this.size]);
  },
  reshape(shape: number[]) {
    return tf.reshape(this, shape);
  },
  sign() {
    return tf.sign(this);
  },
  stridedSlice(begin: number[], end: number[], strides: number[]) {
    return tf.stridedSlice(this, begin, end, strides);
  },
  transpose() {
    return tf.transpose(this);
  },
};

/** Gives tensors the methods that they lack. */
export function addChainedOps(): void {
  for (const [name, method] of Object.entries(METHODS)) {
    if (!(name in tf.Tensor.prototype))
      Object.defineProperty(tf.Tensor.prototype, name, { value: method, configurable: true, writable: true });
  }
}
