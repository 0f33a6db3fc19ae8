import { formatDimensions, mayEqual } from '../dimension.ts';
import { alikeInputs, axisIn, defineOperator } from '../operator.ts';

const softmax = defineOperator({
  arity: [1, 1],
  attributes: { axis: 'int' },
  infer(call) {
    const { dtype, shape } = call.input(0);
    axisIn(call, call.attributes.axis ?? -1, shape.length);
    return [{ dtype, shape }];
  },
});

export const NORMALIZATION = {
  Softmax: softmax,
  LogSoftmax: softmax,

  /** Input [batch, channels, …], scale, offset, mean and variance [channels]: as in inference. */
  BatchNormalization: defineOperator({
    arity: [5, 5],
    attributes: { epsilon: 'float' },
    infer(call) {
      const [input, ...statistics] = alikeInputs(call);
      const { dtype, shape } = input!;
      for (const each of statistics) {
        if (each.shape.length !== 1 || shape.length < 2 || !mayEqual(each.shape[0]!, shape[1]!))
          call.fail(`takes "${each.name}" of the shape ${formatDimensions(each.shape)} for the input ${formatDimensions(shape)}`);
      }
      return [{ dtype, shape }];
    },
  }),

  /** Normalises the axes from `axis` on, then scales and shifts. The further outputs are the mean and 1 / deviation. */
  LayerNormalization: defineOperator({
    arity: [2, 3],
    attributes: { axis: 'int', epsilon: 'float' },
    optionalOutputs: true,
    infer(call) {
      const [input, ...parameters] = alikeInputs(call);
      const { dtype, shape } = input!;
      const axis = axisIn(call, call.attributes.axis ?? -1, shape.length);
      for (const { name, shape: own } of parameters) {
        const normalized = shape.slice(axis);
        if (own.length !== normalized.length || own.some((dimension, at) => !mayEqual(dimension, normalized[at]!)))
          call.fail(`takes "${name}" of the shape ${formatDimensions(own)} for the axes ${formatDimensions(normalized)}`);
      }
      const statistics = shape.map((dimension, at) => (at < axis ? dimension : 1));
      return [
        { dtype, shape },
        { dtype, shape: statistics },
        { dtype, shape: statistics },
      ];
    },
  }),
} as const;
