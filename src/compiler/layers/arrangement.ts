import type { Dimension } from '../graph/dimension.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { inOwnOrder, isSameOrder, type LayerTensor, plain, rankOf, shapeOf } from '../lowering/layer-tensor.ts';

/** The tensor with its axes named anew: axis `i` is what `axes[i]` was. No element moves. */
function renamed({ value, order }: LayerTensor, axes: readonly number[]): LayerTensor {
  return { value, order: order.map((axis) => axes.indexOf(axis)) };
}

/** A tensor with a flattened grid as one in Keras' order. */
function unflattened(call: LayerCall): LayerTensor {
  return call.input.flattened === undefined ? call.input : plain(call.arrange.plain(call.input), call.input.mask);
}

function isKnown(sizes: readonly Dimension[]): sizes is readonly number[] {
  return sizes.every((size) => typeof size === 'number');
}

/** Flattens in the order in which the elements lie; what comes next lays its weights out so. */
const flatten: LowerLayer = (call) => {
  const rank = rankOf(call.input);
  const first = call.config.text('data_format', 'channels_last').toLowerCase() === 'channels_first';
  // Channels first means that they are moved to the end before.
  const input = first && rank > 2 ? renamed(unflattened(call), [0, ...inOwnOrder(rank).slice(2), 1]) : unflattened(call);
  const shape = call.graph.constant(int64s([0, -1]));
  const sizes = shapeOf(input).slice(1);
  const order = input.order.slice(1).map((axis) => axis - 1);
  const moving = order.filter((axis) => sizes[axis] !== 1);
  const inOrder = isSameOrder(
    moving,
    moving.toSorted((one, other) => one - other),
  );
  if (input.order[0] !== 0 || (!inOrder && !isKnown(sizes))) return plain(call.graph.add('Reshape', [call.arrange.plain(input), shape]));
  const value = call.graph.add('Reshape', [input.value, shape]);
  return { value, order: [0, 1], flattened: inOrder || !isKnown(sizes) ? undefined : { sizes, order } };
};

const reshape: LowerLayer = (call) => {
  const given: unknown = call.config.fields['target_shape'];
  if (!Array.isArray(given)) return call.fail('needs "target_shape"');
  // tfjs writes the size that is left open as null, Keras as -1.
  const target = (given as unknown[]).map((size) => (typeof size === 'number' && size >= 0 ? size : -1));
  return plain(call.graph.add('Reshape', [call.arrange.plain(call.input), call.graph.constant(int64s([0, ...target]))]));
};

const permute: LowerLayer = (call) => {
  const dims = call.config.list('dims') ?? call.fail('needs "dims"');
  const rank = rankOf(call.input);
  if (
    !isSameOrder(
      dims.toSorted((one, other) => one - other),
      inOwnOrder(rank).slice(1),
    )
  )
    call.fail(`"dims" must be an order of the axes 1 to ${rank - 1}, not ${dims.join(', ')}`);
  return renamed(unflattened(call), [0, ...dims]);
};

const repeatVector: LowerLayer = (call) => {
  const { graph } = call;
  const steps = graph.add('Unsqueeze', [call.arrange.plain(call.input), graph.constant(int64s([1]))]);
  return plain(graph.add('Expand', [steps, graph.constant(int64s([1, call.config.number('n'), 1]))]));
};

export const ARRANGEMENT_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Flatten: flatten,
  Reshape: reshape,
  Permute: permute,
  RepeatVector: repeatVector,
};
