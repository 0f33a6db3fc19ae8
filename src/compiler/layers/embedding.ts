import { floats, int64 } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { plain } from '../lowering/layer-tensor.ts';
import type { Value } from '../graph/graph.ts';

/** Numbers as whole ones, as tfjs makes indices of them: what is behind the point is dropped. */
export function wholeNumbers(call: LayerCall, value: Value): Value {
  return value.dtype === 'INT64' || value.dtype === 'INT32' ? value : call.graph.add('Cast', [value], { to: 'INT64' });
}

const embedding: LowerLayer = (call) => {
  const { graph, config } = call;
  const input = call.arrange.plain(call.input);
  const indices = wholeNumbers(call, input);
  const value = graph.add('Gather', [call.weight('embeddings'), indices]);
  if (!config.boolean('mask_zero', false)) return plain(value);
  const zero = graph.constant(
    input.dtype === 'FP32' ? floats([], [0]) : { ...int64(0), ...(input.dtype === 'INT32' && { dtype: 'INT32', data: Int32Array.of(0) }) },
  );
  return plain(value, { value: graph.add('Not', [graph.add('Equal', [input, zero])]) });
};

export const EMBEDDING_LAYERS: Readonly<Record<string, LowerLayer>> = { Embedding: embedding };
