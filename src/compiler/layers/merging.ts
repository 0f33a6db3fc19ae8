import type { Value } from '../graph/graph.ts';
import { float, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { axisOf, inOwnOrder, isSameOrder, type LayerTensor, type Mask, rankOf } from '../lowering/layer-tensor.ts';

/** Every input with the axes of the one of the highest rank: the others take axes of one element after the batch. */
function alikeRanks(call: LayerCall): readonly LayerTensor[] {
  const rank = Math.max(...call.inputs.map(rankOf));
  return call.inputs.map((tensor) => {
    const missing = rank - rankOf(tensor);
    if (missing === 0) return tensor;
    const axes = call.graph.constant(int64s(Array.from({ length: missing }, (_axis, index) => index + 1)));
    return {
      ...tensor,
      value: call.graph.add('Unsqueeze', [call.arrange.plain(tensor), axes]),
      order: inOwnOrder(rank),
      flattened: undefined,
    };
  });
}

/** The inputs in one order of axes, that of the first which is not in Keras' own. */
function alike(call: LayerCall, tensors: readonly LayerTensor[]): { readonly values: Value[]; readonly like: LayerTensor } {
  const [first] = tensors;
  const sameGrid = tensors.every(({ flattened }) => JSON.stringify(flattened) === JSON.stringify(first!.flattened));
  if (sameGrid && tensors.every(({ order }) => isSameOrder(order, first!.order)))
    return { values: tensors.map(({ value }) => value), like: first! };
  const moved = tensors.find(({ order, flattened }) => flattened === undefined && !isSameOrder(order, inOwnOrder(order.length)));
  const order = moved?.order ?? inOwnOrder(rankOf(first!));
  return { values: tensors.map((tensor) => call.arrange.ordered(tensor, order)), like: { value: first!.value, order } };
}

/** tfjs makes a mask of merged inputs that has an axis too many. */
function mergedMask(tensors: readonly LayerTensor[]): Mask | undefined {
  if (tensors.every(({ mask }) => mask === undefined)) return undefined;
  return { unclear: 'tfjs hands on no usable mask where masked inputs are merged' };
}

const merging =
  (merge: (call: LayerCall, values: readonly Value[]) => Value): LowerLayer =>
  (call) => {
    if (call.inputs.length < 2) call.fail(`merges at least 2 inputs; it has ${call.inputs.length}`);
    const { values, like } = alike(call, alikeRanks(call));
    return { ...like, value: merge(call, values), mask: mergedMask(call.inputs) };
  };

const inPairs =
  (op: 'Add' | 'Mul') =>
  ({ graph }: LayerCall, values: readonly Value[]): Value =>
    values.slice(1).reduce((sum, value) => graph.add(op, [sum, value]), values[0]!);

const average = (call: LayerCall, values: readonly Value[]): Value =>
  call.graph.add('Mul', [inPairs('Add')(call, values), call.graph.constant(float(1 / values.length))]);

const subtract = (call: LayerCall, values: readonly Value[]): Value => {
  if (values.length !== 2) call.fail(`subtracts one input from another; it has ${values.length}`);
  return call.graph.add('Sub', values);
};

const concatenate: LowerLayer = (call) => {
  const tensors = call.inputs.map((tensor) =>
    tensor.flattened === undefined ? tensor : { value: call.arrange.plain(tensor), order: tensor.order, mask: tensor.mask },
  );
  const { values, like } = alike(call, tensors);
  const axis = call.config.number('axis', -1);
  const rank = rankOf(like);
  const masks = tensors.map(({ mask }) => mask);
  let mask: Mask | undefined;
  if (masks.some((each) => each !== undefined)) {
    const known = masks.flatMap((each) => (each !== undefined && 'value' in each ? [each.value] : []));
    // A step counts when it does in every input that has a mask.
    mask =
      rank === 3 && (axis === -1 || axis === 2) && known.length === masks.filter((each) => each !== undefined).length
        ? { value: known.slice(1).reduce((all, each) => call.graph.add('And', [all, each]), known[0]!) }
        : { unclear: 'masked inputs are joined along another axis than the last' };
  }
  return { ...like, value: call.graph.add('Concat', values, { axis: axisOf(like, axis) }), mask };
};

/** Divided by its length along an axis; lengths below √1e-7 count as that. */
function normalized({ graph }: LayerCall, value: Value, axis: number): Value {
  const squares = graph.add('ReduceSumSquare', [value, graph.constant(int64s([axis]))]);
  return graph.add('Div', [value, graph.add('Sqrt', [graph.add('Max', [squares, graph.constant(float(1e-7))])])]);
}

/** Sums of products along one axis of each input, for each element of the batch. */
const dot: LowerLayer = (call) => {
  const { graph, config } = call;
  if (call.inputs.length !== 2) call.fail(`takes 2 inputs; it has ${call.inputs.length}`);
  const ranks = call.inputs.map(rankOf);
  if (ranks.some((rank) => rank !== 2 && rank !== 3)) call.fail('takes inputs of rank 2 or 3');
  const axes = config.numbers('axes', 2).map((axis, index) => (axis < 0 ? axis + ranks[index]! : axis));
  if (axes.some((axis, index) => axis < 1 || axis >= ranks[index]!)) call.fail('"axes" must name an axis after the batch in each input');
  const [left, right] = call.inputs.map((tensor, index) => {
    const value = call.arrange.plain(tensor);
    return config.boolean('normalize', false) ? normalized(call, value, axes[index]!) : value;
  }) as [Value, Value];
  const turned = (value: Value): Value => graph.add('Transpose', [value], { perm: [0, 2, 1] });
  const withAxis = (value: Value, axis: number): Value => graph.add('Unsqueeze', [value, graph.constant(int64s([axis]))]);
  const rows = ranks[0] === 2 ? withAxis(left, 1) : axes[0] === 1 ? turned(left) : left;
  const columns = ranks[1] === 2 ? withAxis(right, 2) : axes[1] === 2 ? turned(right) : right;
  const product = graph.add('MatMul', [rows, columns]);
  // The axes that only the product needed go; one is kept when both did.
  const spare = [...(ranks[0] === 2 ? [1] : []), ...(ranks[1] === 2 && ranks[0] !== 2 ? [2] : [])];
  const value = spare.length === 0 ? product : graph.add('Squeeze', [product, graph.constant(int64s(spare))]);
  return { value, order: inOwnOrder(value.shape.length) };
};

export const MERGING_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Add: merging(inPairs('Add')),
  Average: merging(average),
  Maximum: merging(({ graph }, values) => graph.add('Max', values)),
  Minimum: merging(({ graph }, values) => graph.add('Min', values)),
  Multiply: merging(inPairs('Mul')),
  Subtract: merging(subtract),
  Concatenate: concatenate,
  Dot: dot,
};
