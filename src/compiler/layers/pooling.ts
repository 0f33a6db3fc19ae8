import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { axisOf } from '../lowering/layer-tensor.ts';
import { imageOrder, windowAttributes } from './convolution.ts';

/** An average counts the elements of the input alone, not the padding, in ONNX as in TensorFlow. */
const pooling =
  (op: 'MaxPool' | 'AveragePool', space: number): LowerLayer =>
  (call) => {
    const { config } = call;
    const order = imageOrder(call);
    const kernel = config.numbers('pool_size', space, 2);
    const x = call.arrange.ordered(call.input, order);
    const attributes = windowAttributes(
      call,
      {
        kernel,
        strides: config.numbers('strides', space, kernel),
        dilations: kernel.map(() => 1),
        padding: config.text('padding', 'valid').toLowerCase(),
      },
      x.shape.slice(2),
    );
    const { dilations: _none, ...window } = attributes;
    return { value: call.graph.add(op, [x], window), order };
  };

/** Reduces the axes of space, wherever they stand. */
const globalPooling =
  (op: 'ReduceMax' | 'ReduceMean'): LowerLayer =>
  (call: LayerCall) => {
    const { input, graph } = call;
    const [, channels, ...space] = imageOrder(call);
    const axes = space.map((axis) => axisOf(input, axis)).toSorted((one, other) => one - other);
    const keepdims = call.config.boolean('keepdims', false);
    const value = graph.add(op, [input.value, graph.constant(int64s(axes))], { keepdims: keepdims ? 1 : 0 });
    if (keepdims) return { value, order: input.order };
    // What is left is the batch and the channels, in their order before.
    const order = input.order.filter((axis) => !space.includes(axis)).map((axis) => (axis === channels ? 1 : 0));
    return { value, order };
  };

export const POOLING_LAYERS: Readonly<Record<string, LowerLayer>> = {
  MaxPooling1D: pooling('MaxPool', 1),
  MaxPooling2D: pooling('MaxPool', 2),
  MaxPooling3D: pooling('MaxPool', 3),
  AveragePooling1D: pooling('AveragePool', 1),
  AveragePooling2D: pooling('AveragePool', 2),
  AveragePooling3D: pooling('AveragePool', 3),
  GlobalMaxPooling1D: globalPooling('ReduceMax'),
  GlobalMaxPooling2D: globalPooling('ReduceMax'),
  GlobalMaxPooling3D: globalPooling('ReduceMax'),
  GlobalAveragePooling1D: globalPooling('ReduceMean'),
  GlobalAveragePooling2D: globalPooling('ReduceMean'),
  GlobalAveragePooling3D: globalPooling('ReduceMean'),
};
