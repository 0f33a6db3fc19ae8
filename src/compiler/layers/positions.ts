import type { Value } from '../graph/graph.ts';
import { floats, int64, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { plain, rankOf } from '../lowering/layer-tensor.ts';
import { embedded } from './embedding.ts';

/** The number of steps of x along an axis, as a list of one. */
function stepsOf(call: LayerCall, x: Value, axis: number): Value {
  const { graph } = call;
  return graph.add('Slice', [graph.add('Shape', [x]), ...[axis, axis + 1].map((at) => graph.constant(int64s([at])))]);
}

/** The rows of a table of positions for the steps of x, [steps, features]. */
function rowsFor(call: LayerCall, name: string, x: Value, axis: number): Value {
  const { graph } = call;
  const table = call.weight(name);
  const steps = x.shape[axis]!;
  const most = table.shape[0] as number;
  if (typeof steps === 'number') {
    if (steps > most) call.fail(`its input has ${steps} steps, and it has positions for ${most} ("sequence_length")`);
    if (steps === most) return table;
  }
  const end = typeof steps === 'number' ? graph.constant(int64s([steps])) : stepsOf(call, x, axis);
  return graph.add('Slice', [table, graph.constant(int64s([0])), end]);
}

const positionEmbedding: LowerLayer = (call) => {
  const { graph } = call;
  const x = call.arrange.plain(call.input);
  const rows = rowsFor(call, 'embeddings', x, rankOf(call.input) - 2);
  return plain(graph.add('Expand', [rows, graph.add('Shape', [x])]), call.input.mask);
};

const tokenAndPositionEmbedding: LowerLayer = (call) => {
  const tokens = embedded(call, 'token_embedding/embeddings');
  const x = call.arrange.plain(call.input);
  const rows = rowsFor(call, 'position_embedding/embeddings', x, x.shape.length - 1);
  return { ...tokens, value: call.graph.add('Add', [tokens.value, rows]) };
};

/** Feature 2i is the sine and feature 2i + 1 the cosine of position / longest^(2i / features). */
const sinePositionEncoding: LowerLayer = (call) => {
  const { graph } = call;
  const x = call.arrange.plain(call.input);
  const axis = x.shape.length - 2;
  const features = x.shape.at(-1)!;
  if (typeof features !== 'number') return call.fail('the number of features must be known');
  const longest = call.config.number('max_wavelength', 10_000);
  const frequencies = Array.from({ length: features }, (_feature, index) => longest ** ((-2 * Math.floor(index / 2)) / features));
  const isSine = Array.from({ length: features }, (_feature, index) => 1 - (index % 2));
  const steps = graph.add('Squeeze', [stepsOf(call, x, axis), graph.constant(int64s([0]))]);
  const places = graph.add('Cast', [graph.add('Range', [graph.constant(int64(0)), steps, graph.constant(int64(1))])], { to: 'FP32' });
  const angles = graph.add('Mul', [
    graph.add('Unsqueeze', [places, graph.constant(int64s([1]))]),
    graph.constant(floats([features], frequencies)),
  ]);
  const sines = graph.add('Cast', [graph.constant(floats([features], isSine))], { to: 'BOOL' });
  const waves = graph.add('Where', [sines, graph.add('Sin', [angles]), graph.add('Cos', [angles])]);
  return plain(graph.add('Expand', [waves, graph.add('Shape', [x])]), call.input.mask);
};

export const POSITION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  PositionEmbedding: positionEmbedding,
  TokenAndPositionEmbedding: tokenAndPositionEmbedding,
  SinePositionEncoding: sinePositionEncoding,
};
