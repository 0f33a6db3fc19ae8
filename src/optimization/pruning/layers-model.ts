import type { Fields } from '../../compiler/topology/config.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** A TF.js layers model in memory: its `modelTopology` and its weights by the names of the file, in the file's order. */
export interface LayersModel {
  readonly topology: Fields;
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** The weights as the compiler takes them. */
export function storedWeights(weights: LayersModel['weights']) {
  return new Map([...weights].map(([name, tensor]) => [name, { name, shape: tensor.shape, tensor: () => tensor }]));
}

/** Numbers that are looked at as [before, size of the axis, after]. */
export interface AxisView {
  readonly before: number;
  readonly size: number;
  readonly after: number;
}

export function axisView(shape: readonly number[], axis: number): AxisView {
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  return { before: product(shape.slice(0, axis)), size: shape[axis]!, after: product(shape.slice(axis + 1)) };
}

/** A tensor with only some of the places of an axis. @param kept places, in order */
export function gather({ dtype, shape, data }: Tensor, axis: number, kept: readonly number[]): Tensor {
  const { before, size, after } = axisView(shape, axis);
  const source = data as Float32Array;
  const target = source.slice(0, before * kept.length * after);
  let at = 0;
  for (let row = 0; row < before; row += 1) {
    for (const place of kept) {
      const from = (row * size + place) * after;
      target.set(source.subarray(from, from + after), at);
      at += after;
    }
  }
  return { dtype, shape: shape.map((each, index) => (index === axis ? kept.length : each)), data: target };
}
