import onnxProto, { type onnx } from 'onnx-proto';

/** Numbers of `TensorProto.DataType`. */
export const ONNX_TYPES = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
} as const;

export type OnnxType = keyof typeof ONNX_TYPES;

/** A dimension: a size, a symbol, or null for one that says nothing. */
export type OnnxDimension = number | string | null;

/** A declared input or output; without a shape its rank is open. */
export interface OnnxValueSpec {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape?: readonly OnnxDimension[];
}

function dimensionOf(dimension: OnnxDimension): onnx.TensorShapeProto.IDimension {
  if (dimension === null) return {};
  return typeof dimension === 'number' ? { dimValue: dimension } : { dimParam: dimension };
}

/** A ValueInfoProto of a dense tensor. */
export function tensorValue({ name, type, shape }: OnnxValueSpec): onnx.IValueInfoProto {
  return { name, type: { tensorType: { elemType: ONNX_TYPES[type], ...(shape && { shape: { dim: shape.map(dimensionOf) } }) } } };
}

export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attribute: onnx.IAttributeProto[] = [],
): onnx.INodeProto {
  return { opType, name: `${opType}-${output.join('-')}`, input: [...input], output: [...output], attribute };
}

export function floatInitializer(name: string, dims: readonly number[], values: readonly number[]): onnx.ITensorProto {
  return { name, dataType: ONNX_TYPES.FP32, dims: [...dims], floatData: [...values] };
}

export interface OnnxModelOptions {
  readonly inputs: readonly (OnnxValueSpec | onnx.IValueInfoProto)[];
  readonly outputs: readonly (OnnxValueSpec | onnx.IValueInfoProto)[];
  readonly nodes: readonly onnx.INodeProto[];
  readonly initializers?: readonly onnx.ITensorProto[];
  /** 8 by default. */
  readonly irVersion?: number;
  /** 17 by default. */
  readonly opset?: number;
}

function valueInfoOf(value: OnnxValueSpec | onnx.IValueInfoProto): onnx.IValueInfoProto {
  return typeof value.type === 'string' ? tensorValue(value) : value;
}

/** The bytes of a `model.onnx`. */
export function onnxModel({ inputs, outputs, nodes, initializers = [], irVersion = 8, opset = 17 }: OnnxModelOptions): Uint8Array {
  const message = onnxProto.onnx.ModelProto.fromObject({
    irVersion,
    producerName: 'slipway-fixtures',
    opsetImport: [{ domain: '', version: opset }],
    graph: { name: 'graph', node: nodes, initializer: initializers, input: inputs.map(valueInfoOf), output: outputs.map(valueInfoOf) },
  });
  return onnxProto.onnx.ModelProto.encode(message).finish();
}
