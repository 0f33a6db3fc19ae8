import type { RandomInput } from '../../../compiler/lowering/lower-model.ts';
import { drawSeed, fillDraw } from '../../../engines/training/draws.ts';
import type { Tensor } from '../../../tensor/tensor.ts';

/** Gives the random numbers of a step, by the names of its inputs. Their arrays are used again in the next step. */
export function createDrawnInputs(draws: readonly RandomInput[], seed: number): (step: number, examples: number) => [string, Tensor][] {
  const arrays = new Map<string, Float32Array>();
  return (step, examples) =>
    draws.map(({ input, layer, draw, distribution, shape: [rows = 1, ...rest] }) => {
      const shape = [rows * examples, ...rest];
      const size = shape.reduce((product, each) => product * each, 1);
      let data = arrays.get(input);
      // The last batch of an epoch is smaller.
      if (data === undefined || data.length < size) arrays.set(input, (data = new Float32Array(size)));
      data = data.subarray(0, size);
      fillDraw(data, distribution, drawSeed(seed, step, layer), draw);
      return [input, { dtype: 'FP32', shape, data }];
    });
}
