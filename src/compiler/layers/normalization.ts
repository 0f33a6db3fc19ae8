import { arithmeticOf } from '../graph/arithmetic.ts';
import { floats, float, int64s } from '../graph/tensors.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Value } from '../graph/graph.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { axisOf, type LayerTensor, rankOf } from '../lowering/layer-tensor.ts';
import { applySteps, type WeightStep } from '../lowering/weight-steps.ts';

/** Parameters in the order in which a flattened grid holds its elements. */
function stepsFor({ flattened }: LayerTensor): readonly WeightStep[] {
  if (flattened === undefined) return [];
  const { sizes, order } = flattened;
  return [{ reshape: sizes }, { transpose: order }, { reshape: [sizes.reduce((product, size) => product * size, 1)] }];
}

function filled(size: number, value: number): Tensor {
  return floats([size], new Float32Array(size).fill(value));
}

/** The number of elements over which each mean is taken, as a scalar. */
function countOf({ graph, input }: LayerCall, axes: readonly number[]): Value {
  const sizes = graph.add('Gather', [graph.add('Shape', [input.value]), graph.constant(int64s(axes))]);
  return graph.add('Cast', [graph.add('ReduceProd', [sizes], { keepdims: 0 })], { to: 'FP32' });
}

/**
 * By mean and variance of the batch where the layer is trained, which move the averages; else by the moving averages, as a
 * frozen layer does in Keras (S. Ioffe, C. Szegedy, Batch Normalization, 2015). Here the weights are no known numbers.
 */
function trainedBatchNormalization(call: LayerCall, axis: number): LayerTensor {
  const { input, config, graph } = call;
  const math = arithmeticOf(graph, 'FP32');
  const rank = rankOf(input);
  const spread = Array.from({ length: rank }, (_size, at) => (at === axis ? call.tensor('moving_variance').data.length : 1));
  const parameter = (name: string): Value => call.weight(name, [...stepsFor(input), { reshape: spread }]);
  const epsilon = config.number('epsilon', 1e-3);
  const [movingMean, movingVariance] = [parameter('moving_mean'), parameter('moving_variance')];
  let [mean, variance] = [movingMean, movingVariance];
  let centred: Value;
  if (call.mode === 'training' && call.isTrained) {
    const others = Array.from({ length: rank }, (_axis, at) => at).filter((at) => at !== axis);
    const axes = graph.constant(int64s(others));
    mean = graph.add('ReduceMean', [input.value, axes]);
    centred = math.sub(input.value, mean);
    variance = math.div(graph.add('ReduceSumSquare', [centred, axes]), countOf(call, others));
    const share = 1 - config.number('momentum', 0.99);
    const move = (weight: Value, value: Value): void => {
      const before = call.updated(weight);
      call.update(weight, math.sub(before, math.mul(math.sub(before, value), share)));
    };
    move(movingMean, mean);
    move(movingVariance, variance);
  } else centred = math.sub(input.value, mean);
  const deviation = math.sqrt(math.add(variance, epsilon));
  const factor = config.boolean('scale', true) ? math.div(parameter('gamma'), deviation) : math.div(1, deviation);
  const value = math.mul(centred, factor);
  return { ...input, value: config.boolean('center', true) ? math.add(value, parameter('beta')) : value };
}

const batchNormalization: LowerLayer = (call) => {
  const { input, config, graph } = call;
  const axis = axisOf(input, config.list('axis')?.[0] ?? -1);
  if (call.mode !== 'serving') return trainedBatchNormalization(call, axis);
  const epsilon = config.number('epsilon', 1e-3);
  const size = call.tensor('moving_variance').data.length;
  const steps = stepsFor(input);
  if (axis === 1) {
    const scale = config.boolean('scale', true) ? call.weight('gamma', steps) : call.derived('ones', () => filled(size, 1));
    const offset = config.boolean('center', true) ? call.weight('beta', steps) : call.derived('zeros', () => filled(size, 0));
    const statistics = [call.weight('moving_mean', steps), call.weight('moving_variance', steps)];
    return { ...input, value: graph.add('BatchNormalization', [input.value, scale, offset, ...statistics], { epsilon }) };
  }
  // ONNX normalises the second axis alone. Any other takes a product and a sum, of numbers that are known.
  const shape = Array.from({ length: rankOf(input) }, (_size, at) => (at === axis ? size : 1));
  const numbersOf = (name: string, flag: string, otherwise: number): Tensor =>
    config.boolean(flag, true) ? applySteps(call.tensor(name), steps) : filled(size, otherwise);
  const numbers = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
  const factors = (): Float32Array => {
    const gamma = numbers(numbersOf('gamma', 'scale', 1));
    const variance = numbers(applySteps(call.tensor('moving_variance'), steps));
    return gamma.map((each, index) => each / Math.sqrt(variance[index]! + epsilon));
  };
  const factor = call.derived(`factor${shape.join()}`, () => floats(shape, factors()));
  const offset = call.derived(`offset${shape.join()}`, () => {
    const beta = numbers(numbersOf('beta', 'center', 0));
    const mean = numbers(applySteps(call.tensor('moving_mean'), steps));
    return floats(
      shape,
      factors().map((each, index) => beta[index]! - mean[index]! * each),
    );
  });
  return { ...input, value: graph.add('Add', [graph.add('Mul', [input.value, factor]), offset]) };
};

/** Normalises any axes, step by step. Parameters have the axes that `axes` names, in that order. */
function normalizedByHand(call: LayerCall, axes: readonly number[], epsilon: number): Value {
  const { input, graph, config } = call;
  const own = axes.map((axis) => axisOf(input, axis));
  const reduced = graph.constant(int64s(own.toSorted((one, other) => one - other)));
  const centred = graph.add('Sub', [input.value, graph.add('ReduceMean', [input.value, reduced])]);
  const variance = graph.add('ReduceMean', [graph.add('Mul', [centred, centred]), reduced]);
  const deviation = graph.add('Sqrt', [graph.add('Add', [variance, graph.constant(float(epsilon))])]);
  let value = graph.add('Div', [centred, deviation]);
  // The parameters' axes in the order of the value, with axes of one element between them.
  const byPlace = [...own.keys()].toSorted((one, other) => own[one]! - own[other]!);
  const parameter = (name: string): Value => {
    const { shape } = call.tensor(name);
    const spread = Array.from({ length: rankOf(input) }, (_size, at) => (own.includes(at) ? shape[own.indexOf(at)]! : 1));
    return call.weight(name, [{ transpose: byPlace }, { reshape: spread }]);
  };
  if (config.boolean('scale', true)) value = graph.add('Mul', [value, parameter('gamma')]);
  if (config.boolean('center', true)) value = graph.add('Add', [value, parameter('beta')]);
  return value;
}

const layerNormalization: LowerLayer = (call) => {
  const { input, graph, config } = call;
  const rank = rankOf(input);
  const axes = (config.list('axis') ?? [-1]).map((axis) => (axis < 0 ? axis + rank : axis));
  const epsilon = config.number('epsilon', 1e-3);
  const first = rank - axes.length;
  // ONNX normalises the last axes.
  const atEnd = input.flattened === undefined && axes.every((axis, index) => axis === first + index && input.order[axis] === axis);
  if (!atEnd) {
    const value = call.arrange.plain(input);
    const plainCall = input.flattened === undefined ? call : { ...call, input: { ...input, value, flattened: undefined } };
    return { ...plainCall.input, value: normalizedByHand(plainCall, axes, epsilon) };
  }
  const shape = input.value.shape.slice(first);
  const scale = config.boolean('scale', true)
    ? call.weight('gamma')
    : call.derived('ones', () => {
        if (!shape.every((size) => typeof size === 'number')) return call.fail('the sizes of the axes that it normalises must be known');
        return {
          ...filled(
            shape.reduce((product, size) => product * size, 1),
            1,
          ),
          shape,
        };
      });
  const inputs = config.boolean('center', true) ? [input.value, scale, call.weight('beta')] : [input.value, scale];
  return { ...input, value: graph.add('LayerNormalization', inputs, { axis: -axes.length, epsilon }) };
};

export const NORMALIZATION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
};
