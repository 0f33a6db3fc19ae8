import type { Tensor } from '../../tensor/tensor.ts';

/** Which weights stay: 1, and which are 0. */
export type Masks = ReadonlyMap<string, Uint8Array>;

export interface PruneWeightsOptions {
  /** Share of the weights that become 0, 0 to 1. */
  readonly share: number;
  /** `layer`: so many of each weight tensor. `global`: of all together, by their absolute value. */
  readonly scope: 'layer' | 'global';
}

/** Biases, norms and statistics are few and matter; kernels and embeddings are matrices at least. */
function isPrunable({ dtype, shape }: Tensor): boolean {
  return dtype === 'FP32' && shape.length >= 2;
}

/** The largest absolute value of the `count` smallest ones; below 0 for none. */
function thresholdOf(magnitudes: Float32Array, count: number): number {
  return count === 0 ? -1 : magnitudes.toSorted()[count - 1]!;
}

function magnitudesOf(tensors: readonly Tensor[]): Float32Array {
  const all = new Float32Array(tensors.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data } of tensors) {
    for (const value of data as Float32Array) {
      all[at] = Math.abs(value);
      at += 1;
    }
  }
  return all;
}

/** Chooses the weights that are smallest by their absolute value (S. Han et al., Learning both Weights and Connections, 2015). */
export function magnitudeMasks(weights: ReadonlyMap<string, Tensor>, { share, scope }: PruneWeightsOptions): Masks {
  const prunable = [...weights].filter(([, tensor]) => isPrunable(tensor));
  const thresholdFor = (tensors: readonly Tensor[]): number => {
    const magnitudes = magnitudesOf(tensors);
    return thresholdOf(magnitudes, Math.floor(share * magnitudes.length));
  };
  const global = scope === 'global' ? thresholdFor(prunable.map(([, tensor]) => tensor)) : undefined;
  return new Map(
    prunable.map(([name, tensor]) => {
      const threshold = global ?? thresholdFor([tensor]);
      return [name, Uint8Array.from(tensor.data as Float32Array, (value) => (Math.abs(value) <= threshold ? 0 : 1))];
    }),
  );
}

/** The weights with zeros where the masks say so; weights without a mask are left alone. */
export function applyMasks(weights: ReadonlyMap<string, Tensor>, masks: Masks): Map<string, Tensor> {
  return new Map(
    [...weights].map(([name, tensor]) => {
      const mask = masks.get(name);
      if (mask === undefined) return [name, tensor];
      return [name, { ...tensor, data: (tensor.data as Float32Array).map((value, index) => (mask[index] === 0 ? 0 : value)) }];
    }),
  );
}

/**
 * The share of zeros on the way to the final one: it rises fast at first, when there is much to spare, and slowly at the end
 * (M. Zhu and S. Gupta, To prune, or not to prune, 2017, equation 1).
 * @param done share of the way, 0 to 1
 */
export function gradualShare(final: number, done: number): number {
  return final * (1 - (1 - Math.min(1, done)) ** 3);
}
