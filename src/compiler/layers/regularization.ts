import { RANDOM_LAYERS } from '../../engines/training/draws.ts';
import type { Value } from '../graph/graph.ts';
import { arithmeticOf } from '../graph/arithmetic.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { type LayerTensor, plain, shapeOf } from '../lowering/layer-tensor.ts';

/** What was drawn in Keras' order of axes, in that of a tensor. */
function asIn({ arrange, graph }: LayerCall, drawn: Value, { order, flattened }: LayerTensor): Value {
  if (flattened === undefined || drawn.shape.at(-1) === 1) return arrange.ordered(plain(drawn), order);
  const { sizes, order: grid } = flattened;
  const apart = graph.add('Reshape', [drawn, graph.constant(int64s([-1, ...sizes]))]);
  const moved = graph.add('Transpose', [apart], { perm: [0, ...grid.map((axis) => axis + 1)] });
  return graph.add('Reshape', [moved, graph.constant(int64s([-1, sizes.reduce((product, size) => product * size, 1)]))]);
}

/** Axes of which Dropout's config says that they have one number. */
function noiseShared({ config, fail }: LayerCall): readonly number[] {
  const shape = config.fields['noise_shape'];
  if (shape === undefined || shape === null) return [];
  if (!Array.isArray(shape)) return fail('"noise_shape" must be a list');
  return [...shape.keys()].filter((axis) => shape[axis] === 1);
}

/** In training by random numbers, which are inputs of the step; otherwise the input as it is. */
const random: LowerLayer = (call) => {
  const { input, config, className, graph } = call;
  if (call.mode !== 'training') return input;
  const rate = className === 'GaussianNoise' ? config.number('stddev') : config.number('rate');
  // tfjs drops nothing at a rate of 1.
  if (rate <= 0 || (rate >= 1 && className !== 'GaussianNoise')) return input;
  const math = arithmeticOf(graph, 'FP32');
  const { distribution, use, shared } = RANDOM_LAYERS[className]!(rate, input.order.length);
  const one = new Set([...shared, ...noiseShared(call)]);
  if (one.has(0)) return call.fail('draws one number for all examples of a batch, which cannot be compiled');
  const drawn = asIn(
    call,
    call.draw(
      distribution,
      shapeOf(input).map((size, axis) => (one.has(axis) ? 1 : size)),
    ),
    input,
  );
  if (use.kind === 'add') return { ...input, value: math.add(input.value, drawn) };
  if (use.kind === 'multiply') return { ...input, value: math.mul(input.value, drawn) };
  const { other, scale, offset } = use;
  const rest = math.add(math.mul(drawn, -scale * other), scale * other + offset);
  return { ...input, value: math.add(math.mul(input.value, math.mul(drawn, scale)), rest) };
};

const identity: LowerLayer = (call) => {
  if (call.mode === 'training') call.fail('adds a penalty to the loss, which is not known in a training step in one graph');
  return call.input;
};

/** Layers that do something in training only. */
export const REGULARIZATION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  ...Object.fromEntries(Object.keys(RANDOM_LAYERS).map((name) => [name, random])),
  ActivityRegularization: identity,
};
