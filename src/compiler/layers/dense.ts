import type { Value } from '../graph/graph.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { inOwnOrder, type LayerTensor, rankOf } from '../lowering/layer-tensor.ts';
import type { WeightStep } from '../lowering/weight-steps.ts';
import { withActivation } from './activations.ts';

/** Lays the rows of a kernel out in the order in which a flattened grid holds its elements. */
function stepsFor({ flattened }: LayerTensor, units: number): readonly WeightStep[] {
  if (flattened === undefined) return [];
  const { sizes, order } = flattened;
  const rows = sizes.reduce((product, size) => product * size, 1);
  return [{ reshape: [...sizes, units] }, { transpose: [...order, sizes.length] }, { reshape: [rows, units] }];
}

/** The input with its features last, as a product of matrices needs them. */
function featuresLast(call: LayerCall): LayerTensor {
  const { input } = call;
  if (input.order.at(-1) === rankOf(input) - 1) return input;
  return { value: call.arrange.plain(input), order: inOwnOrder(rankOf(input)), mask: input.mask };
}

const dense: LowerLayer = (call) => {
  const { graph, config } = call;
  const input = featuresLast(call);
  const kernel = call.weight('kernel', stepsFor(input, config.number('units')));
  const bias = config.boolean('use_bias', true) ? call.weight('bias') : undefined;
  let value: Value;
  if (rankOf(input) === 2) value = graph.add('Gemm', bias === undefined ? [input.value, kernel] : [input.value, kernel, bias]);
  else {
    value = graph.add('MatMul', [input.value, kernel]);
    if (bias !== undefined) value = graph.add('Add', [value, bias]);
  }
  return withActivation(call, { value, order: input.order, mask: input.mask });
};

export const DENSE_LAYERS: Readonly<Record<string, LowerLayer>> = { Dense: dense };
