import type { Value } from '../../graph/graph.ts';
import { int64s } from '../../graph/tensors.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { axisOf, type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { sumOver } from '../shapes.ts';

function layerNormalization(call: DerivativeCall): Value[] {
  const { graph, math, gradient, input, output } = call;
  const [x, scale, mean, inverse] = [input(0), input(1), output(1), output(2)];
  const rank = x.shape.length;
  const axis = axisOf(numberOf(call, 'axis', -1), rank);
  const axes = graph.constant(int64s(Array.from({ length: rank - axis }, (_axis, index) => axis + index)));
  const meanOf = (value: Value): Value => graph.add('ReduceMean', [value, axes], { keepdims: 1 });
  const normalized = math.mul(math.sub(x, mean), inverse);
  const scaled = math.mul(gradient, scale);
  const centred = math.sub(math.sub(scaled, meanOf(scaled)), math.mul(normalized, meanOf(math.mul(scaled, normalized))));
  return [math.mul(centred, inverse), math.mul(gradient, normalized), gradient];
}

function batchNormalization(call: DerivativeCall): Value[] {
  const { graph, math, gradient, input, wants } = call;
  if (wants(3) || wants(4)) call.fail('is known for fixed means and variances only');
  const rank = input(0).shape.length;
  const perChannel = (value: Value): Value => {
    const axes = Array.from({ length: rank - 2 }, (_axis, index) => index + 1);
    return axes.length === 0 ? value : graph.add('Unsqueeze', [value, graph.constant(int64s(axes))]);
  };
  const inverse = math.div(1, math.sqrt(math.add(input(4), numberOf(call, 'epsilon', 1e-5))));
  const others = Array.from({ length: rank }, (_axis, index) => index).filter((axis) => axis !== 1);
  const normalized = math.mul(math.sub(input(0), perChannel(input(3))), perChannel(inverse));
  return [
    math.mul(gradient, perChannel(math.mul(input(1), inverse))),
    sumOver(graph, math.mul(gradient, normalized), others, 0),
    sumOver(graph, gradient, others, 0),
  ];
}

export const NORMALIZATION_DERIVATIVES = {
  Softmax(call) {
    const { graph, math, gradient, output } = call;
    const [y, axis] = [output(0), numberOf(call, 'axis', -1)];
    const along = sumOver(graph, math.mul(gradient, y), [axis], 1);
    return [math.mul(y, math.sub(gradient, along))];
  },
  LogSoftmax(call) {
    const { graph, math, gradient, output } = call;
    const along = sumOver(graph, gradient, [numberOf(call, 'axis', -1)], 1);
    return [math.sub(gradient, math.mul(math.exp(output(0)), along))];
  },
  LayerNormalization: layerNormalization,
  BatchNormalization: batchNormalization,
} as const satisfies Partial<Record<OperatorName, Derivative>>;
