import { defineOperator } from '../operator.ts';

const like = <const Kinds extends Record<string, 'float'>>(attributes: Kinds) =>
  defineOperator({
    arity: [1, 1],
    attributes: { dtype: 'dtype', seed: 'float', ...attributes },
    infer(call) {
      const { dtype, shape } = call.input(0);
      return [{ dtype: (call.attributes as { dtype?: typeof dtype }).dtype ?? dtype, shape }];
    },
  });

/** Random numbers of the shape of the input. */
export const RANDOM = {
  RandomNormalLike: like({ mean: 'float', scale: 'float' }),
  RandomUniformLike: like({ low: 'float', high: 'float' }),
} as const;
