import type { Value } from '../graph/graph.ts';
import { float, int64, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { plain } from '../lowering/layer-tensor.ts';

/** FP32 [batch, steps]: what each step counts in the result. */
function shares({ graph }: LayerCall, mask: Value, mode: string): Value {
  const axis = graph.constant(int64s([1]));
  const counted = graph.add('Cast', [mask], { to: 'FP32' });
  if (mode === 'mean') {
    const count = graph.add('ReduceSum', [counted, axis], { keepdims: 1 });
    return graph.add('Div', [counted, graph.add('Max', [count, graph.constant(float(1))])]);
  }
  const steps = graph.add('Gather', [graph.add('Shape', [mask]), graph.constant(int64(1))]);
  const range = graph.add('Range', [graph.constant(int64(0)), steps, graph.constant(int64(1))]);
  const places = graph.add('Cast', [range], { to: 'FP32' });
  const last = graph.add('ReduceMax', [graph.add('Mul', [places, counted]), axis], { keepdims: 1 });
  return graph.add('Cast', [graph.add('Equal', [places, last])], { to: 'FP32' });
}

/** The mean of the steps that are not masked, or the last of them, as a product with what each step counts. */
const sequencePooling: LowerLayer = (call) => {
  const { graph, config } = call;
  const mode = config.text('mode', 'mean');
  if (mode !== 'mean' && mode !== 'last') call.fail('"mode" must be mean or last');
  const x = call.arrange.plain(call.input);
  const mask = call.mask();
  if (mask === undefined) {
    if (mode === 'mean') return plain(graph.add('ReduceMean', [x, graph.constant(int64s([1]))], { keepdims: 0 }));
    return plain(graph.add('Gather', [x, graph.constant(int64(-1))], { axis: 1 }));
  }
  const product = graph.add('MatMul', [graph.add('Unsqueeze', [shares(call, mask, mode), graph.constant(int64s([1]))]), x]);
  return plain(graph.add('Squeeze', [product, graph.constant(int64s([1]))]));
};

export const SEQUENCE_POOLING_LAYERS: Readonly<Record<string, LowerLayer>> = { SequencePooling: sequencePooling };
