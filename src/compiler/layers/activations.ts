import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { float } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { axisOf, type LayerTensor } from '../lowering/layer-tensor.ts';

/** Adds the nodes of an activation. @param axis the last axis of Keras, as it stands in the value. */
type Activate = (graph: GraphBuilder, x: Value, axis: number) => Value;

function scaled(graph: GraphBuilder, factor: number, x: Value): Value {
  return graph.add('Mul', [x, graph.constant(float(factor))]);
}

function plusOne(graph: GraphBuilder, x: Value): Value {
  return graph.add('Add', [x, graph.constant(float(1))]);
}

/** By names as tfjs has them, in lower case and without underscores. */
const ACTIVATIONS: Readonly<Record<string, Activate>> = {
  linear: (_graph, x) => x,
  relu: (graph, x) => graph.add('Relu', [x]),
  relu6: (graph, x) => graph.add('Clip', [x, graph.constant(float(0)), graph.constant(float(6))]),
  elu: (graph, x) => graph.add('Elu', [x]),
  selu: (graph, x) => graph.add('Selu', [x]),
  sigmoid: (graph, x) => graph.add('Sigmoid', [x]),
  hardsigmoid: (graph, x) => graph.add('HardSigmoid', [x], { alpha: 0.2, beta: 0.5 }),
  softplus: (graph, x) => graph.add('Softplus', [x]),
  softsign: (graph, x) => graph.add('Softsign', [x]),
  tanh: (graph, x) => graph.add('Tanh', [x]),
  softmax: (graph, x, axis) => graph.add('Softmax', [x], { axis }),
  logsoftmax: (graph, x, axis) => graph.add('LogSoftmax', [x], { axis }),
  swish: (graph, x) => graph.add('Mul', [x, graph.add('Sigmoid', [x])]),
  mish: (graph, x) => graph.add('Mul', [x, graph.add('Tanh', [graph.add('Softplus', [x])])]),
  // In the steps by which ONNX Runtime knows a GELU, and computes it by one kernel.
  gelu(graph, x) {
    const erf = graph.add('Erf', [graph.add('Div', [x, graph.constant(float(Math.SQRT2))])]);
    return scaled(graph, 0.5, graph.add('Mul', [x, plusOne(graph, erf)]));
  },
  gelunew(graph, x) {
    const cube = scaled(graph, 0.044715, graph.add('Pow', [x, graph.constant(float(3))]));
    const tanh = graph.add('Tanh', [scaled(graph, Math.sqrt(2 / Math.PI), graph.add('Add', [x, cube]))]);
    return graph.add('Mul', [scaled(graph, 0.5, x), plusOne(graph, tanh)]);
  },
};

/** An activation's name without what differs between the spellings of Keras and of tfjs. */
export function activationKey(name: string): string {
  return name.replaceAll('_', '').toLowerCase();
}

/** A tensor after the activation of a name. */
export function activated(call: LayerCall, tensor: LayerTensor, name: string): LayerTensor {
  const activate = ACTIVATIONS[activationKey(name)];
  if (activate === undefined)
    return call.fail(`the activation "${name}" cannot be compiled; use one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return { ...tensor, value: activate(call.graph, tensor.value, axisOf(tensor, -1)) };
}

/** A tensor after the activation that a layer has besides its own computation. */
export function withActivation(call: LayerCall, tensor: LayerTensor, otherwise = 'linear'): LayerTensor {
  return activated(call, tensor, call.config.className('activation', otherwise));
}

const activation: LowerLayer = (call) => withActivation(call, call.input);

const relu: LowerLayer = (call) => {
  for (const key of ['negative_slope', 'threshold']) {
    if (call.config.number(key, 0) !== 0) call.fail(`"${key}" is not heeded by tfjs, so it must be 0; use LeakyReLU or ThresholdedReLU`);
  }
  if (!call.config.has('max_value')) return activated(call, call.input, 'relu');
  const limits = [0, call.config.number('max_value')].map((limit) => call.graph.constant(float(limit)));
  return { ...call.input, value: call.graph.add('Clip', [call.input.value, ...limits]) };
};

const leakyRelu: LowerLayer = (call) => {
  const alpha = call.config.number('alpha', call.config.number('negative_slope', 0.3));
  return { ...call.input, value: call.graph.add('LeakyRelu', [call.input.value], { alpha }), mask: undefined };
};

const elu: LowerLayer = (call) => ({ ...activated(call, call.input, 'elu'), mask: undefined });

const thresholdedRelu: LowerLayer = (call) => {
  const alpha = call.config.number('theta', 1);
  return { ...call.input, value: call.graph.add('ThresholdedRelu', [call.input.value], { alpha }), mask: undefined };
};

/** Its slopes have the axes of the input without the batch; those of shared axes have one element. */
const prelu: LowerLayer = (call) => {
  const { input } = call;
  if (input.flattened !== undefined) {
    const { sizes, order } = input.flattened;
    const slope = call.weight('alpha', [{ reshape: sizes }, { transpose: order }, { reshape: [call.tensor('alpha').data.length] }]);
    return { ...input, value: call.graph.add('PRelu', [input.value, slope]) };
  }
  // Where the batch is not first, the slopes take an axis of one element in its place.
  const alpha = call.tensor('alpha');
  const slope = call.weight('alpha', [{ reshape: [1, ...alpha.shape] }, { transpose: input.order }]);
  return { ...input, value: call.graph.add('PRelu', [input.value, slope]) };
};

const softmax: LowerLayer = (call) => {
  const axes = call.config.list('axis') ?? [1];
  if (axes.length !== 1) call.fail('a softmax over several axes cannot be compiled; reshape them into one before it');
  if (call.mask() !== undefined) call.fail('a softmax of a masked tensor cannot be compiled; drop the mask before it');
  const { input } = call;
  return { ...input, value: call.graph.add('Softmax', [input.value], { axis: axisOf(input, axes[0]!) }) };
};

export const ACTIVATION_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Activation: activation,
  ReLU: relu,
  LeakyReLU: leakyRelu,
  PReLU: prelu,
  ELU: elu,
  ThresholdedReLU: thresholdedRelu,
  Softmax: softmax,
};
