import onnxProto, { type onnx } from 'onnx-proto';
import { type LenetWeights, permute } from './weights.ts';

/** Numbers of onnx.proto: element types and attribute types. */
const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

function ints(name: string, values: readonly number[]): onnx.IAttributeProto {
  return { name, type: ATTRIBUTE_INTS, ints: [...values] };
}

function int(name: string, value: number): onnx.IAttributeProto {
  return { name, type: ATTRIBUTE_INT, i: value };
}

function initializer(name: string, dims: readonly number[], values: Float32Array): onnx.ITensorProto {
  return { name, dataType: FLOAT, dims: [...dims], rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

function tensorValue(name: string, dims: readonly (number | string)[]): onnx.IValueInfoProto {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

/**
 * LeNet as an ONNX model: `image` [batch, 1, 28, 28] with values 0–1 gives `probabilities` [batch, 10]. ONNX counts
 * dimensions channels first, so kernels go from HWIO to OIHW, and the first dense layer's rows, which stand in the
 * order height, width, channel, go to channel, height, width.
 */
export function encodeOnnx(weights: LenetWeights): Uint8Array {
  const initializers: onnx.ITensorProto[] = [
    { name: 'features', dataType: INT64, dims: [2], rawData: new Uint8Array(BigInt64Array.of(0n, -1n).buffer) },
  ];
  const nodes: onnx.INodeProto[] = [];
  const add = (opType: string, input: string[], output: string, attribute: onnx.IAttributeProto[] = []): string => {
    nodes.push({ opType, name: output, input, output: [output], attribute });
    return output;
  };
  const kernelOf = (layer: string) => weights[`${layer}/kernel`]!;
  const addBias = (layer: string): string => {
    const { shape, values } = weights[`${layer}/bias`]!;
    initializers.push(initializer(`${layer}/bias`, shape, values));
    return `${layer}/bias`;
  };
  const addKernel = (layer: string, dims: readonly number[], values: Float32Array): string => {
    initializers.push(initializer(`${layer}/kernel`, dims, values));
    return `${layer}/kernel`;
  };
  const convolution = (layer: string, input: string, padding: number): string => {
    const { shape, values } = kernelOf(layer);
    const [height, width, inChannels, outChannels] = shape as [number, number, number, number];
    const kernel = addKernel(layer, [outChannels, inChannels, height, width], permute(values, shape, [3, 2, 0, 1]));
    return add('Conv', [input, kernel, addBias(layer)], layer, [
      ints('kernel_shape', [height, width]),
      ints('pads', Array(4).fill(padding)),
    ]);
  };
  const dense = (layer: string, input: string, output: string, values = kernelOf(layer).values): string =>
    add('Gemm', [input, addKernel(layer, kernelOf(layer).shape, values), addBias(layer)], output);
  const pool = (input: string, output: string): string =>
    add('MaxPool', [input], output, [ints('kernel_shape', [2, 2]), ints('strides', [2, 2])]);
  const relu = (input: string): string => add('Relu', [input], `${input}/relu`);

  let last = pool(relu(convolution('conv1', 'image', 2)), 'pool1');
  last = pool(relu(convolution('conv2', last, 0)), 'pool2');
  last = add('Reshape', [last, 'features'], 'flatten');
  const first = kernelOf('dense1');
  const [rows, units] = first.shape as [number, number];
  const side = Math.sqrt(rows / 16);
  last = relu(dense('dense1', last, 'dense1', permute(first.values, [side, side, 16, units], [2, 0, 1, 3])));
  last = relu(dense('dense2', last, 'dense2'));
  last = dense('probabilities', last, 'logits');
  add('Softmax', [last], 'probabilities', [int('axis', 1)]);

  const model: onnx.IModelProto = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    producerName: 'slipway',
    graph: {
      name: 'lenet5',
      node: nodes,
      initializer: initializers,
      input: [tensorValue('image', ['batch', 1, 28, 28])],
      output: [tensorValue('probabilities', ['batch', 10])],
    },
  };
  return onnxProto.onnx.ModelProto.encode(onnxProto.onnx.ModelProto.fromObject(model)).finish();
}
