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
