import type { OperatorName } from '../../graph/operators/operators.ts';
import type { Value } from '../../graph/graph.ts';
import { type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';

/** A derivative of one input: the gradient times a factor. x is the input, y the output. */
const times =
  (factor: (call: DerivativeCall, x: Value, y: Value) => Value): Derivative =>
  (call) => [call.math.mul(call.gradient, factor(call, call.input(0), call.output(0)))];

/** The gradient is that of the output where a condition holds, else it is another one. */
const piecewise =
  (condition: (call: DerivativeCall, x: Value, y: Value) => Value, otherwise: (call: DerivativeCall, x: Value, y: Value) => Value | 0) =>
  (call: DerivativeCall): readonly Value[] => {
    const [x, y] = [call.input(0), call.output(0)];
    return [call.math.where(condition(call, x, y), call.gradient, otherwise(call, x, y))];
  };

const positiveInput = ({ math }: DerivativeCall, x: Value): Value => math.greater(x, 0);

/** tanh(softplus(x)) + x · sigmoid(x) · (1 − tanh²(softplus(x))). */
function mishSlope({ graph, math }: DerivativeCall, x: Value): Value {
  const tanh = math.tanh(graph.add('Softplus', [x]));
  return math.add(tanh, math.mul(math.mul(x, math.sigmoid(x)), math.sub(1, math.mul(tanh, tanh))));
}

/** Where one of several inputs is the output, which takes the gradient; those that are equal share it. */
const chosen: Derivative = ({ graph, math, gradient, inputs, output }) => {
  const masks = inputs.map((input) => math.where(math.equal(input!, output(0)), 1, 0));
  const share = math.div(gradient, graph.add('Sum', masks));
  return masks.map((mask) => math.mul(share, mask));
};

const GELU_SLOPE = 2 / Math.sqrt(Math.PI);

/** The defaults that ONNX gives Selu. */
const SELU = { alpha: 1.67326319217681884765625, gamma: 1.05070102214813232421875 };

export const ELEMENTWISE_DERIVATIVES = {
  Add: ({ gradient }) => [gradient, gradient],
  Sub: ({ gradient, math }) => [gradient, math.neg(gradient)],
  Mul: ({ gradient, math, input }) => [math.mul(gradient, input(1)), math.mul(gradient, input(0))],
  Div({ gradient, math, input, output }) {
    const over = math.div(gradient, input(1));
    return [over, math.neg(math.mul(over, output(0)))];
  },
  Pow({ gradient, math, input, output, wants }) {
    const [base, exponent] = [input(0), input(1)];
    return [
      math.mul(gradient, math.mul(exponent, math.pow(base, math.sub(exponent, 1)))),
      wants(1) ? math.mul(gradient, math.mul(output(0), math.log(base))) : undefined,
    ];
  },
  Sum: ({ gradient, inputs }) => inputs.map(() => gradient),
  Max: chosen,
  Min: chosen,
  Where({ gradient, math, input }) {
    const condition = input(0);
    return [undefined, math.where(condition, gradient, 0), math.where(condition, 0, gradient)];
  },
  /** Within the limits the output is the input; at a limit the gradient passes, too. */
  Clip: piecewise(
    ({ math }, x, y) => math.equal(x, y),
    () => 0,
  ),
  Identity: ({ gradient }) => [gradient],
  Cast: ({ gradient, graph, input }) => [graph.add('Cast', [gradient], { to: input(0).dtype })],
  /** Without its third input, which says that this is training, it lets everything through. */
  Dropout({ graph, math, gradient, inputs, output }) {
    if (inputs[2] === undefined || graph.tensorOf(inputs[2])?.data[0] === 0) return [gradient];
    const ratio = inputs[1] === undefined ? 0.5 : (graph.tensorOf(inputs[1])?.data[0] as number | undefined);
    const scale = ratio === undefined ? math.div(1, math.sub(1, inputs[1]!)) : 1 / (1 - ratio);
    return [math.where(output(1), math.mul(gradient, scale), 0)];
  },

  Abs: times(({ math }, x) => math.sign(x)),
  Cos: times(({ graph, math }, x) => math.neg(graph.add('Sin', [x]))),
  Erf: times(({ math }, x) => math.mul(math.exp(math.neg(math.mul(x, x))), GELU_SLOPE)),
  Exp: times((_call, _x, y) => y),
  Log: ({ gradient, math, input }) => [math.div(gradient, input(0))],
  Mish: times(mishSlope),
  Neg: ({ gradient, math }) => [math.neg(gradient)],
  Reciprocal: times(({ math }, _x, y) => math.neg(math.mul(y, y))),
  /** What is not 0 becomes 1. In ONNX Runtime this takes half of the time of the output's sign, and less than a comparison and a choice. */
  Relu: times(({ graph }, _x, y) => graph.add('Cast', [graph.add('Cast', [y], { to: 'BOOL' })], { to: y.dtype })),
  Sigmoid: times(({ math }, _x, y) => math.mul(y, math.sub(1, y))),
  Sin: times(({ graph }, x) => graph.add('Cos', [x])),
  Softplus: times(({ math }, x) => math.sigmoid(x)),
  Softsign({ gradient, math, input }) {
    const width = math.add(math.abs(input(0)), 1);
    return [math.div(gradient, math.mul(width, width))];
  },
  Sqrt: ({ gradient, math, output }) => [math.div(math.mul(gradient, 0.5), output(0))],
  Tanh: times(({ math }, _x, y) => math.sub(1, math.mul(y, y))),

  Elu: piecewise(positiveInput, (call, _x, y) => call.math.mul(call.gradient, call.math.add(y, numberOf(call, 'alpha', 1)))),
  HardSigmoid: times((call, _x, y) => {
    const inside = call.graph.add('And', [call.math.greater(y, 0), call.math.greater(1, y)]);
    return call.math.where(inside, numberOf(call, 'alpha', 0.2), 0);
  }),
  /** x · max(0, min(1, x ÷ 6 + ½)). */
  HardSwish: times(({ math }, x) => {
    const middle = math.where(math.greater(x, -3), math.add(math.mul(x, 1 / 3), 0.5), 0);
    return math.where(math.greater(x, 3), 1, middle);
  }),
  LeakyRelu: piecewise(positiveInput, (call) => call.math.mul(call.gradient, numberOf(call, 'alpha', 0.01))),
  Selu: times((call, x, y) => {
    const [alpha, gamma] = [numberOf(call, 'alpha', SELU.alpha), numberOf(call, 'gamma', SELU.gamma)];
    return call.math.where(positiveInput(call, x), gamma, call.math.add(y, alpha * gamma));
  }),
  ThresholdedRelu: piecewise(
    (call, x) => call.math.greater(x, numberOf(call, 'alpha', 1)),
    () => 0,
  ),
  PRelu({ gradient, math, input }) {
    const [x, slope] = [input(0), input(1)];
    const positive = math.greater(x, 0);
    return [math.where(positive, gradient, math.mul(gradient, slope)), math.where(positive, 0, math.mul(gradient, x))];
  },
} as const satisfies Partial<Record<OperatorName, Derivative>>;
