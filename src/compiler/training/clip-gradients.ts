import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Clipping } from '../../engines/training/trainer.ts';

/** Cuts gradients to ±value, then scales all of them so that their norm over all weights is at most `norm`. */
export function clipInGraph(graph: GraphBuilder, gradients: readonly Value[], { value, norm }: Clipping): readonly Value[] {
  const math = arithmeticOf(graph, 'FP32');
  const cut =
    value === undefined
      ? gradients
      : gradients.map((gradient) => graph.add('Clip', [gradient, math.constant(-value), math.constant(value)]));
  if (norm === undefined || cut.length === 0) return cut;
  const squares = cut.map((gradient) => graph.add('ReduceSumSquare', [gradient], { keepdims: 0 }));
  const length = math.sqrt(graph.add('Sum', squares));
  const scale = math.div(norm, math.max(length, norm));
  return cut.map((gradient) => math.mul(gradient, scale));
}
