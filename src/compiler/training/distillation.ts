import type { Distillation } from '../../engines/training/trainer.ts';
import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';
import type { LossNodes } from './losses.ts';

/** No probability counts as less: the logarithm of 0 is none. */
const LEAST_PROBABILITY = 1e-30;

/**
 * Adds to a cross-entropy what a teacher gives: weight · T² · Σ example weight · KL(p ‖ q) + (1 − weight) · cross-entropy, with
 * q = softmax(scores ÷ T). By the scores the gradient of the first part is weight · T · example weight · (q − p).
 * @param right nodes of the cross-entropy
 * @param teacher p in the shape of the scores
 * @param weights the weight of each example in the sum
 */
export function addTeacher(
  graph: GraphBuilder,
  right: LossNodes,
  teacher: Value,
  weights: Value,
  { temperature, weight }: Distillation,
): LossNodes {
  const math = arithmeticOf(graph, teacher.dtype);
  const scores = math.mul(right.of, 1 / temperature);
  const each = graph.add('Unsqueeze', [weights, graph.constant(int64s([-1]))]);
  const surprise = math.sub(math.log(math.max(teacher, LEAST_PROBABILITY)), graph.add('LogSoftmax', [scores], { axis: -1 }));
  const divergence = graph.add('ReduceSum', [math.mul(math.mul(teacher, surprise), each)], { keepdims: 0 });
  const slope = math.mul(math.sub(graph.add('Softmax', [scores], { axis: -1 }), teacher), each);
  return {
    loss: math.add(math.mul(divergence, weight * temperature ** 2), math.mul(right.loss, 1 - weight)),
    of: right.of,
    gradient: math.add(math.mul(slope, weight * temperature), math.mul(right.gradient, 1 - weight)),
  };
}
