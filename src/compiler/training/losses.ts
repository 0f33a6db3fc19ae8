import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { ValueType, Value } from '../graph/graph.ts';
import { floats, int64, int64s } from '../graph/tensors.ts';
import type { LossName } from '../../engines/training/trainer.ts';
import { expandLike, sumOver } from '../gradient/shapes.ts';

/** `binary-cross-entropy` takes targets 0 to 1 in the shape of the outputs; the others are those of training jobs. */
export type GraphLoss = LossName | 'binary-cross-entropy';

/** What a loss adds to a graph: its own value, and the gradients by which the way back through the model begins. */
export interface LossNodes {
  /** A scalar: Σ weight · loss over the examples. */
  readonly loss: Value;
  /** The value of the model that the gradient is of: the outputs, or the scores before their last activation. */
  readonly of: Value;
  readonly gradient: Value;
}

/** @param weights the weight of each example in the sum, [batch, …] as `weightsType` says. */
type AddLoss = (graph: GraphBuilder, output: Value, target: Value, weights: Value) => LossNodes;

interface Loss {
  targetType(output: Value): ValueType;
  weightsType(output: Value): ValueType;
  readonly add: AddLoss;
}

/** Beyond this distance the Huber loss is linear (P. Huber, 1964). */
const HUBER_DELTA = 1;

/** The scores under an output, so that the activation and the loss become one formula, exact for large scores too. */
function scoresOf(graph: GraphBuilder, output: Value, activation: 'Softmax' | 'Sigmoid'): Value {
  const node = graph.producerOf(output);
  if (node?.op === activation) return node.inputs[0]!;
  // A sequence that was computed with its steps first has its axes put in order behind the activation.
  const before = node?.op === 'Transpose' ? graph.producerOf(node.inputs[0]!) : undefined;
  const perm = node?.attributes['perm'] as readonly number[] | undefined;
  if (before?.op !== activation || perm?.at(-1) !== perm!.length - 1) return output;
  return graph.add('Transpose', [before.inputs[0]!], { perm });
}

function sumOfAll(graph: GraphBuilder, value: Value): Value {
  return graph.add('ReduceSum', [value], { keepdims: 0 });
}

/** −Σ weight · log softmax(scores)[class]; by the scores its gradient is weight · (softmax − one-hot). Classes [batch, …]. */
const crossEntropy: AddLoss = (graph, output, target, weights) => {
  const math = arithmeticOf(graph, output.dtype);
  const scores = scoresOf(graph, output, 'Softmax');
  const classes = scores.shape.at(-1)!;
  const depth =
    typeof classes === 'number'
      ? graph.constant(int64(classes))
      : graph.add('Gather', [graph.add('Shape', [scores]), graph.constant(int64(-1))]);
  const indices = graph.add('Cast', [target], { to: 'INT64' });
  const hot = graph.add('OneHot', [indices, depth, graph.constant(floats([2], [0, 1]))]);
  const weight = graph.add('Unsqueeze', [weights, graph.constant(int64s([-1]))]);
  const probabilities = scores === output ? graph.add('Softmax', [scores], { axis: -1 }) : output;
  return {
    loss: math.neg(sumOfAll(graph, math.mul(graph.add('LogSoftmax', [scores], { axis: -1 }), math.mul(hot, weight)))),
    of: scores,
    gradient: math.mul(math.sub(probabilities, hot), weight),
  };
};

/** A loss of each element, which is averaged over the elements of an example. */
function elementwise(
  add: (graph: GraphBuilder, output: Value, target: Value) => { readonly losses: Value; readonly slopes: Value; readonly of?: Value },
): AddLoss {
  return (graph, output, target, weights) => {
    const math = arithmeticOf(graph, output.dtype);
    const { losses, slopes, of = output } = add(graph, output, target);
    const axes = Array.from({ length: output.shape.length - 1 }, (_axis, index) => index + 1);
    let weight = axes.length === 0 ? weights : graph.add('Unsqueeze', [weights, graph.constant(int64s(axes))]);
    const sizes = output.shape.slice(1);
    if (sizes.every((size) => typeof size === 'number')) {
      const count = sizes.reduce((product, size) => product * size, 1);
      if (count !== 1) weight = math.mul(weight, 1 / count);
    } else {
      const count = sumOver(graph, expandLike(graph, math.constant(1), output), axes, 1);
      weight = math.div(weight, count);
    }
    return { loss: sumOfAll(graph, math.mul(losses, weight)), of, gradient: math.mul(slopes, weight) };
  };
}

/** max(s, 0) − s · t + log(1 + e^−|s|) of scores s before sigmoid and targets t; its slope is sigmoid(s) − t. */
const binaryCrossEntropy = elementwise((graph, output, target) => {
  const math = arithmeticOf(graph, output.dtype);
  const scores = scoresOf(graph, output, 'Sigmoid');
  const tail = math.log(math.add(math.exp(math.neg(math.abs(scores))), 1));
  return {
    losses: math.add(math.sub(graph.add('Relu', [scores]), math.mul(scores, target)), tail),
    slopes: math.sub(scores === output ? math.sigmoid(scores) : output, target),
    of: scores,
  };
});

const squaredError = elementwise((graph, output, target) => {
  const math = arithmeticOf(graph, output.dtype);
  const difference = math.sub(output, target);
  return { losses: math.mul(difference, difference), slopes: math.mul(difference, 2) };
});

const absoluteError = elementwise((graph, output, target) => {
  const math = arithmeticOf(graph, output.dtype);
  const difference = math.sub(output, target);
  return { losses: math.abs(difference), slopes: math.sign(difference) };
});

/** ½d² within δ, δ(|d| − ½δ) beyond; with c = d limited to ±δ both are c · (d − ½c), and the slope is c. */
const huber = elementwise((graph, output, target) => {
  const math = arithmeticOf(graph, output.dtype);
  const difference = math.sub(output, target);
  const limited = graph.add('Clip', [difference, math.constant(-HUBER_DELTA), math.constant(HUBER_DELTA)]);
  return { losses: math.mul(limited, math.sub(difference, math.mul(limited, 0.5))), slopes: limited };
});

const perExample = ({ dtype, shape }: Value): ValueType => ({ dtype, shape: shape.slice(0, 1) });
const regression = (add: AddLoss): Loss => ({ targetType: ({ dtype, shape }) => ({ dtype, shape }), weightsType: perExample, add });

/** The losses by name. Example weights of 1 ÷ n make a sum the mean; a weight of 0 leaves an example out. */
export const GRAPH_LOSSES: Readonly<Record<GraphLoss, Loss>> = {
  'cross-entropy': {
    targetType: ({ shape }) => ({ dtype: 'INT32', shape: shape.slice(0, -1) }),
    weightsType: ({ dtype, shape }) => ({ dtype, shape: shape.slice(0, -1) }),
    add: crossEntropy,
  },
  'binary-cross-entropy': regression(binaryCrossEntropy),
  'mean-squared-error': regression(squaredError),
  'mean-absolute-error': regression(absoluteError),
  huber: regression(huber),
};
