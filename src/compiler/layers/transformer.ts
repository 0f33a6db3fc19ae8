import type { Value } from '../graph/graph.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { plain } from '../lowering/layer-tensor.ts';
import { withActivation } from './activations.ts';
import { attend, dropped } from './attention.ts';

function dense(call: LayerCall, x: Value, name: string): Value {
  const product = call.graph.add('MatMul', [x, call.weight(`${name}/kernel`)]);
  return call.graph.add('Add', [product, call.weight(`${name}/bias`)]);
}

/** Attention and two dense layers, each with its sum and its norm, which comes before the part or after the sum. */
const block =
  (causal: boolean): LowerLayer =>
  (call) => {
    const { graph, config } = call;
    if (call.inputs.length !== 1) call.fail('takes one sequence; an encoder beside it is not supported');
    const epsilon = config.number('layer_norm_epsilon', 1e-5);
    const before = config.boolean('normalize_first', false);
    const mask = call.mask();
    const rate = config.number('dropout', 0);
    const drop = (x: Value): Value => dropped(call, x, rate);
    const normalized = (x: Value, name: string): Value =>
      graph.add('LayerNormalization', [x, call.weight(`${name}/gamma`), call.weight(`${name}/beta`)], { axis: -1, epsilon });
    const part = (x: Value, norm: string, compute: (x: Value) => Value): Value => {
      const sum = graph.add('Add', [x, drop(compute(before ? normalized(x, norm) : x))]);
      return before ? sum : normalized(sum, norm);
    };
    const attended = part(call.arrange.plain(call.input), 'self_attention_layer_norm', (x) =>
      attend(call, {
        query: x,
        key: x,
        value: x,
        mask,
        causal,
        prefix: causal ? 'self_attention/' : 'self_attention_layer/',
        useBias: true,
        drop,
      }),
    );
    const value = part(attended, 'feedforward_layer_norm', (x) => {
      const inner = plain(dense(call, x, 'feedforward_intermediate_dense'));
      return dense(call, withActivation(call, inner, 'relu').value, 'feedforward_output_dense');
    });
    return plain(value, call.input.mask);
  };

export const TRANSFORMER_LAYERS: Readonly<Record<string, LowerLayer>> = {
  TransformerEncoder: block(false),
  TransformerDecoder: block(true),
};
