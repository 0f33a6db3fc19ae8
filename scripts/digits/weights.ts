import type * as tfl from '@tensorflow/tfjs-layers';

/** The trained numbers of LeNet in the layout of TensorFlow: convolutions HWIO, dense layers [in, out]. */
export interface LenetWeights {
  readonly [name: string]: { readonly shape: readonly number[]; readonly values: Float32Array };
}

/** The kernel and bias of each layer, as `conv1/kernel`, `conv1/bias` and so on. */
export function weightsOf(model: tfl.LayersModel): LenetWeights {
  const weights: { [name: string]: { shape: readonly number[]; values: Float32Array } } = {};
  for (const layer of model.layers) {
    const [kernel, bias] = layer.getWeights();
    if (kernel === undefined || bias === undefined) continue;
    weights[`${layer.name}/kernel`] = { shape: kernel.shape, values: kernel.dataSync() as Float32Array };
    weights[`${layer.name}/bias`] = { shape: bias.shape, values: bias.dataSync() as Float32Array };
  }
  return weights;
}

/** The same numbers with their dimensions in another order. */
export function permute(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_size, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const target = order.map((axis) => shape[axis]!);
  const permuted = new Float32Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    let rest = index;
    let source = 0;
    for (let axis = target.length - 1; axis >= 0; axis -= 1) {
      source += (rest % target[axis]!) * strides[order[axis]!]!;
      rest = Math.floor(rest / target[axis]!);
    }
    permuted[index] = values[source]!;
  }
  return permuted;
}
