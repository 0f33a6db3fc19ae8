import { RANDOM_LAYERS } from '../../engines/training/draws.ts';
import type { Value } from '../graph/graph.ts';
import { float, floats, int64, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { plain } from '../lowering/layer-tensor.ts';

export interface Attention {
  /** [batch, steps, features] */
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  /** BOOL, [batch, steps of the value]; a step that is masked gets no attention. */
  readonly mask: Value | undefined;
  /** Whether a step sees itself and those before it alone. */
  readonly causal: boolean;
  /** What stands before the names of the weights: a slash at its end, or nothing. */
  readonly prefix: string;
  readonly useBias: boolean;
  /** Drops some of the scores, in training. */
  readonly drop: (scores: Value) => Value;
}

/** In training, elements dropped at random and the others scaled. */
export function dropped({ mode, graph, draw }: LayerCall, x: Value, rate: number): Value {
  if (mode !== 'training' || rate === 0) return x;
  return graph.add('Mul', [x, draw(RANDOM_LAYERS['Dropout']!(rate, x.shape.length).distribution, x.shape)]);
}

/** What Keras adds to the score of a step that must not be seen. */
const UNSEEN = -1e9;

/** x · kernel + bias, where the kernel's axes are joined to two. */
function projected(call: LayerCall, x: Value, name: string, useBias: boolean, rows: number): Value {
  const { graph } = call;
  const { shape } = call.tensor(`${name}/kernel`);
  const inputs = shape.slice(0, rows).reduce((product, size) => product * size, 1);
  const outputs = shape.slice(rows).reduce((product, size) => product * size, 1);
  const product = graph.add('MatMul', [x, call.weight(`${name}/kernel`, [{ reshape: [inputs, outputs] }])]);
  return useBias ? graph.add('Add', [product, call.weight(`${name}/bias`, [{ reshape: [outputs] }])]) : product;
}

/** [batch, steps, heads · size] as [batch, heads, steps, size], or with the last two axes exchanged. */
function byHead(call: LayerCall, x: Value, heads: number, turned: boolean): Value {
  const { graph } = call;
  const split = graph.add('Reshape', [x, graph.constant(int64s([0, 0, heads, -1]))]);
  return graph.add('Transpose', [split], { perm: turned ? [0, 2, 3, 1] : [0, 2, 1, 3] });
}

function places(call: LayerCall, value: Value): Value {
  const { graph } = call;
  const steps = graph.add('Gather', [graph.add('Shape', [value]), graph.constant(int64(1))]);
  return graph.add('Range', [graph.constant(int64(0)), steps, graph.constant(int64(1))]);
}

/** What is added to the scores so that no step sees a later one: [steps, steps of the value]. */
function laterHidden(call: LayerCall, query: Value, value: Value): Value {
  const { graph } = call;
  const [steps, seen] = [query.shape[1]!, value.shape[1]!];
  if (typeof steps === 'number' && typeof seen === 'number') {
    const hidden = Float32Array.from({ length: steps * seen }, (_hidden, index) => (index % seen > Math.floor(index / seen) ? UNSEEN : 0));
    return call.derived(`later${steps},${seen}`, () => floats([steps, seen], hidden));
  }
  const rows = graph.add('Unsqueeze', [places(call, query), graph.constant(int64s([1]))]);
  const isLater = graph.add('Greater', [places(call, value), rows]);
  return graph.add('Where', [isLater, graph.constant(float(UNSEEN)), graph.constant(float(0))]);
}

/** Scaled dot-product attention in several heads (A. Vaswani et al., Attention Is All You Need, 2017). */
export function attend(call: LayerCall, { query, key, value, mask, causal, prefix, useBias, drop }: Attention): Value {
  const { graph } = call;
  const [, heads, size] = call.tensor(`${prefix}query/kernel`).shape as [number, number, number];
  const project = (x: Value, name: string): Value => projected(call, x, `${prefix}${name}`, useBias, 1);
  const scaled = graph.add('Mul', [project(query, 'query'), graph.constant(float(1 / Math.sqrt(size)))]);
  const keys = byHead(call, project(key, 'key'), heads, true);
  let scores = graph.add('MatMul', [byHead(call, scaled, heads, false), keys]);
  if (mask !== undefined) {
    const hidden = graph.add('Where', [mask, graph.constant(float(0)), graph.constant(float(UNSEEN))]);
    scores = graph.add('Add', [scores, graph.add('Unsqueeze', [hidden, graph.constant(int64s([1, 2]))])]);
  }
  if (causal) scores = graph.add('Add', [scores, laterHidden(call, query, value)]);
  const shares = drop(graph.add('Softmax', [scores], { axis: -1 }));
  const seen = graph.add('MatMul', [shares, byHead(call, project(value, 'value'), heads, false)]);
  const joined = graph.add('Reshape', [graph.add('Transpose', [seen], { perm: [0, 2, 1, 3] }), graph.constant(int64s([0, 0, -1]))]);
  return projected(call, joined, `${prefix}attention_output`, useBias, 2);
}

const multiHeadAttention: LowerLayer = (call) => {
  const { config, inputs, named, arrange } = call;
  const attended = inputs[1] ?? named.get('value');
  const keyed = inputs[2] ?? named.get('key') ?? attended;
  const query = arrange.plain(call.input);
  const axes = config.list('attention_axes');
  if (query.shape.length !== 3 || (axes !== undefined && !(axes.length === 1 && axes[0] === 1)))
    call.fail('attention is over the steps of sequences [batch, steps, features] alone');
  if (config.has('output_shape')) call.fail('"output_shape" must be left out');
  if (attended !== undefined && [call.input, attended, keyed].some((tensor) => tensor?.mask !== undefined))
    call.fail('masks count in self-attention alone, since tfjs hands on the first mask of several; drop them before it');
  const value = attended === undefined ? query : arrange.plain(attended);
  const attention = attend(call, {
    query,
    value,
    key: keyed === undefined ? value : arrange.plain(keyed),
    mask: attended === undefined ? call.mask() : undefined,
    causal: config.boolean('use_causal_mask', call.keywords['use_causal_mask'] === true),
    prefix: '',
    useBias: config.boolean('use_bias', true),
    drop: (scores) => dropped(call, scores, config.number('dropout', 0)),
  });
  return plain(attention, call.input.mask);
};

export const ATTENTION_LAYERS: Readonly<Record<string, LowerLayer>> = { MultiHeadAttention: multiHeadAttention };
