import { weightState } from '../../../engines/training/state-names.ts';
import type { Trainer } from '../../../engines/training/trainer.ts';
import { int8Weights } from '../../../optimization/quantization/scales.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { weightsIn } from './fine-tune.ts';

export interface GridOptions {
  /** Names of the weights that are rounded; their last axis is that of the channels. */
  readonly rounded: ReadonlySet<string>;
  readonly perChannel: boolean;
  readonly reduceRange: boolean;
}

/** The numbers that int8 makes of a weight. */
export function toInt8Grid(weight: Tensor, { perChannel, reduceRange }: Pick<GridOptions, 'perChannel' | 'reduceRange'>): Tensor {
  const channels = weight.shape.at(-1)!;
  const options = { axis: perChannel ? weight.shape.length - 1 : undefined, most: reduceRange ? 63 : 127 };
  const { data, scales } = int8Weights(weight, options);
  const values = Float32Array.from(data, (integer, at) => integer * scales[perChannel ? at % channels : 0]!);
  return { ...weight, data: values };
}

/**
 * A trainer whose weights are those of int8 in every step, while what the steps change adds up in numbers that are not
 * rounded: the gradient goes straight through the rounding (Y. Bengio, N. Léonard and A. Courville, Estimating or Propagating
 * Gradients Through Stochastic Neurons, 2013), as in B. Jacob et al., Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference, 2018. What is left in it at the end is rounded.
 */
export function onInt8Grid(trainer: Trainer, options: GridOptions): Trainer {
  const roundedOf = (weights: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
    new Map([...weights].map(([name, weight]) => [name, options.rounded.has(name) ? toInt8Grid(weight, options) : weight]));
  const give = (weights: ReadonlyMap<string, Tensor>): void =>
    trainer.restore(new Map([...weights].map(([name, { shape, data }]) => [weightState(name), { shape, data: data as Float32Array }])));
  let exact: Map<string, Tensor> | undefined;
  let rounded = new Map<string, Tensor>();
  const round = (): void => {
    rounded = roundedOf(exact!);
    give(rounded);
  };
  return {
    ...trainer,
    async step(batch, stepOptions) {
      if (exact === undefined) {
        exact = weightsIn(trainer.state());
        round();
      }
      const result = await trainer.step(batch, stepOptions);
      for (const [name, after] of weightsIn(trainer.state())) {
        if (!options.rounded.has(name)) {
          exact.set(name, after);
          continue;
        }
        const [values, before] = [exact.get(name)!.data as Float32Array, rounded.get(name)!.data as Float32Array];
        const data = (after.data as Float32Array).map((value, at) => values[at]! + value - before[at]!);
        exact.set(name, { ...after, data });
      }
      round();
      return result;
    },
  };
}
