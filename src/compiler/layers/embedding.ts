import { STORAGE } from '../../tensor/dtype.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { type LayerTensor, plain } from '../lowering/layer-tensor.ts';
import type { Value } from '../graph/graph.ts';

/** Numbers as whole ones, as tfjs makes indices of them: what is behind the point is dropped. */
export function wholeNumbers(call: LayerCall, value: Value): Value {
  return value.dtype === 'INT64' || value.dtype === 'INT32' ? value : call.graph.add('Cast', [value], { to: 'INT64' });
}

/** A row of a table for each index, with a mask where 0 stands for nothing. */
export function embedded(call: LayerCall, table: string): LayerTensor {
  const { graph, config } = call;
  const input = call.arrange.plain(call.input);
  const value = graph.add('Gather', [call.weight(table), wholeNumbers(call, input)]);
  if (!config.boolean('mask_zero', false)) return plain(value);
  const zero = graph.constant({ dtype: input.dtype, shape: [], data: new STORAGE[input.dtype as 'FP32'](1) });
  return plain(value, { value: graph.add('Not', [graph.add('Equal', [input, zero])]) });
}

export const EMBEDDING_LAYERS: Readonly<Record<string, LowerLayer>> = { Embedding: (call) => embedded(call, 'embeddings') };
