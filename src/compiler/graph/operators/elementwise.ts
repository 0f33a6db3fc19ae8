import type { DType } from '../../../tensor/dtype.ts';
import { alikeInputs, type AttributeKinds, broadcastInputs, defineOperator, type Operator, UNBOUNDED } from '../operator.ts';

/** One input, one output of the same type. */
function unary<const Kinds extends AttributeKinds>(attributes: Kinds): Operator<Kinds> {
  return defineOperator({
    arity: [1, 1],
    attributes,
    infer(call) {
      const { dtype, shape } = call.input(0);
      return [{ dtype, shape }];
    },
  });
}

/** Inputs of one dtype that are broadcast. */
function broadcasting<const Kinds extends AttributeKinds>(
  arity: readonly [number, number],
  attributes: Kinds,
  result?: DType,
): Operator<Kinds> {
  return defineOperator({
    arity,
    attributes,
    infer(call) {
      const inputs = alikeInputs(call);
      return [{ dtype: result ?? inputs[0]!.dtype, shape: broadcastInputs(call, inputs) }];
    },
  });
}

const binary = broadcasting([2, 2], {});
const comparison = broadcasting([2, 2], {}, 'BOOL');
const variadic = broadcasting([1, UNBOUNDED], {});
const plain = unary({});

/** Operators that compute each element by itself. */
export const ELEMENTWISE = {
  Abs: plain,
  Ceil: plain,
  Cos: plain,
  Erf: plain,
  Exp: plain,
  Floor: plain,
  HardSwish: plain,
  Identity: plain,
  Log: plain,
  Mish: plain,
  Neg: plain,
  Not: plain,
  Reciprocal: plain,
  Relu: plain,
  Round: plain,
  Sigmoid: plain,
  Sign: plain,
  Sin: plain,
  Softplus: plain,
  Softsign: plain,
  Sqrt: plain,
  Tanh: plain,
  Elu: unary({ alpha: 'float' }),
  HardSigmoid: unary({ alpha: 'float', beta: 'float' }),
  LeakyRelu: unary({ alpha: 'float' }),
  Selu: unary({ alpha: 'float', gamma: 'float' }),
  ThresholdedRelu: unary({ alpha: 'float' }),

  Add: binary,
  And: binary,
  Div: binary,
  Mul: binary,
  Or: binary,
  Sub: binary,
  Mod: broadcasting([2, 2], { fmod: 'int' }),
  Equal: comparison,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Less: comparison,
  LessOrEqual: comparison,
  Max: variadic,
  Min: variadic,
  Sum: variadic,

  /** The exponent may have another dtype than the base. */
  Pow: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const [base, exponent] = [call.input(0), call.input(1)];
      return [{ dtype: base.dtype, shape: broadcastInputs(call, [base, exponent]) }];
    },
  }),

  /** The slope is broadcast to the input, never the other way. */
  PRelu: broadcasting([2, 2], {}),

  /** Input, least and greatest value, both scalars. */
  Clip: defineOperator({
    arity: [1, 3],
    attributes: {},
    infer(call) {
      const [{ dtype, shape }] = alikeInputs(call) as [ReturnType<typeof call.input>];
      return [{ dtype, shape }];
    },
  }),

  /** Condition, value where it holds, value where it does not. */
  Where: defineOperator({
    arity: [3, 3],
    attributes: {},
    infer(call) {
      const [condition, then, otherwise] = [call.input(0), call.input(1), call.input(2)];
      if (condition.dtype !== 'BOOL') call.fail(`takes its condition as BOOL; "${condition.name}" is ${condition.dtype}`);
      if (then.dtype !== otherwise.dtype) call.fail(`chooses between ${then.dtype} and ${otherwise.dtype}`);
      return [{ dtype: then.dtype, shape: broadcastInputs(call, [condition, then, otherwise]) }];
    },
  }),

  Cast: defineOperator({
    arity: [1, 1],
    attributes: { to: 'dtype' },
    infer(call) {
      return [{ dtype: call.attributes.to ?? call.fail('needs the dtype to cast to'), shape: call.input(0).shape }];
    },
  }),

  /** Zeroes elements at random and scales the others, in training mode; the second output says which were kept. */
  Dropout: defineOperator({
    arity: [1, 3],
    attributes: { seed: 'int' },
    optionalOutputs: true,
    infer(call) {
      const { dtype, shape } = call.input(0);
      return [
        { dtype, shape },
        { dtype: 'BOOL', shape },
      ];
    },
  }),
} as const;
