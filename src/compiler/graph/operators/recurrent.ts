import { formatDimensions, mayEqual, type Shape } from '../dimension.ts';
import type { ValueType } from '../graph.ts';
import { checkRank, defineOperator } from '../operator.ts';

/*
 * ONNX's recurrent operators: input [time, batch, features]; weights [directions, gates · units, features], recurrent
 * weights [directions, gates · units, units], biases [directions, 2 · gates · units]; lengths [batch]; first states
 * [directions, batch, units]. The outputs are all states [time, directions, batch, units] and the last ones.
 */
function recurrent(gates: number, states: number) {
  return defineOperator({
    arity: [3, 7],
    attributes: {
      activations: 'strings',
      activation_alpha: 'floats',
      activation_beta: 'floats',
      direction: 'string',
      hidden_size: 'int',
      linear_before_reset: 'int',
    },
    optionalOutputs: true,
    firstOutputOptional: true,
    infer(call): ValueType[] {
      const [input, weights, recurrentWeights] = [call.input(0), call.input(1), call.input(2)];
      checkRank(call, input, 3);
      const [time, batch, features] = input.shape as [number, number, number];
      const units = call.attributes.hidden_size ?? call.fail('needs hidden_size');
      const directions = call.attributes.direction === 'bidirectional' ? 2 : 1;
      const check = (value: { readonly shape: Shape } | undefined, what: string, expected: Shape): void => {
        if (value === undefined) return;
        if (value.shape.length !== expected.length || expected.some((size, axis) => !mayEqual(size, value.shape[axis]!)))
          call.fail(`takes its ${what} of the shape ${formatDimensions(expected)}, not ${formatDimensions(value.shape)}`);
      };
      check(weights, 'weights', [directions, gates * units, features]);
      check(recurrentWeights, 'recurrent weights', [directions, gates * units, units]);
      check(call.inputs[3], 'biases', [directions, 2 * gates * units]);
      check(call.inputs[4], 'lengths', [batch]);
      for (let state = 0; state < states; state += 1) check(call.inputs[5 + state], 'first states', [directions, batch, units]);
      const last = { dtype: input.dtype, shape: [directions, batch, units] };
      return [{ dtype: input.dtype, shape: [time, directions, batch, units] }, ...Array.from({ length: states }, () => last)];
    },
  });
}

export const RECURRENT = {
  RNN: recurrent(1, 1),
  GRU: recurrent(3, 1),
  LSTM: recurrent(4, 2),

  /**
   * Runs its body for each element of the inputs' first axes. The inputs are the first states, then the sequences; the
   * body takes a state and one element of each and gives the next states and one element of each output.
   */
  Scan: defineOperator({
    arity: [1, Number.POSITIVE_INFINITY],
    attributes: {
      body: 'graph',
      num_scan_inputs: 'int',
      scan_input_directions: 'ints',
      scan_output_directions: 'ints',
    },
    infer(call): ValueType[] {
      const { body, num_scan_inputs: sequences } = call.attributes;
      if (body === undefined || sequences === undefined) return call.fail('needs a body and the number of its sequences');
      const states = call.inputs.length - sequences;
      const taken = call.inputs.map((_value, index) => {
        const { dtype, shape } = call.input(index);
        return { dtype, shape: index < states ? shape : shape.slice(1) };
      });
      for (const [index, { dtype, shape }] of taken.entries()) {
        const own = body.inputs[index];
        if (
          own === undefined ||
          own.dtype !== dtype ||
          own.shape.length !== shape.length ||
          own.shape.some((size, axis) => !mayEqual(size, shape[axis]!))
        )
          call.fail(`takes ${dtype} ${formatDimensions(shape)} where its body takes ${own?.dtype} ${formatDimensions(own?.shape ?? [])}`);
      }
      const length = call.input(states).shape[0]!;
      return body.outputs.map(({ value: { dtype, shape } }, index) => ({ dtype, shape: index < states ? shape : [length, ...shape] }));
    },
  }),
} as const;
