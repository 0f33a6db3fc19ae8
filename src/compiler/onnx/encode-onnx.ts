import { WireWriter } from '../../protobuf/wire-writer.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { Shape } from '../graph/dimension.ts';
import type { AttributeTypes, Graph, Node, Value } from '../graph/graph.ts';
import { type OperatorName, OPERATORS } from '../graph/operators/operators.ts';
import { encodeTensor, type ExternalData } from './encode-tensor.ts';
import { ATTRIBUTE, ATTRIBUTE_TYPE, DATA_TYPE, DIMENSION, GRAPH, MODEL, NODE, OPSET, SHAPE, TENSOR_TYPE, TYPE, VALUE } from './fields.ts';

/** IR version 8 came with opset 15; every ONNX Runtime from 1.14 on reads both. */
const IR_VERSION = 8;
const OPSET_VERSION = 18;

/** Protobuf messages end at 2 GiB; weights that would go beyond leave room for the nodes. */
export const MOST_WEIGHT_BYTES = 2 ** 31 - 2 ** 26;

export const EXTERNAL_DATA_FILE = 'model.onnx.data';

export interface EncodeOnnxOptions {
  /** Weights of more bytes in all go into a file of their own. Default: just under 2 GiB, where ONNX files end. */
  readonly mostWeightBytes?: number;
}

/** An ONNX model as pieces of bytes, in their order. The values of weights are among them as they lie in memory. */
export interface OnnxFiles {
  readonly model: readonly Uint8Array[];
  /** The content of the file `model.onnx.data` beside it; empty when the model needs none. */
  readonly data: readonly Uint8Array[];
}

type Names = ReadonlyMap<Value, string>;

/** Names of outputs and inputs are promises to callers; others step aside. */
function nameValues({ inputs, outputs, nodes, initializers }: Graph): Names {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const give = (value: Value, wanted: string): void => {
    if (names.has(value)) return;
    let name = wanted;
    for (let suffix = 1; taken.has(name); suffix += 1) name = `${wanted}_${suffix}`;
    names.set(value, name);
    taken.add(name);
  };
  for (const { name, value } of outputs) give(value, name);
  for (const value of inputs) give(value, value.name);
  for (const value of initializers.keys()) give(value, value.name);
  const giveInside = (inside: readonly Node[]): void => {
    for (const node of inside) {
      for (const value of node.outputs) if (value !== undefined) give(value, value.name);
      for (const attribute of Object.values(node.attributes)) {
        if (typeof attribute !== 'object' || !('nodes' in attribute)) continue;
        for (const value of attribute.inputs) give(value, value.name);
        giveInside(attribute.nodes);
      }
    }
  };
  giveInside(nodes);
  return names;
}

function encodeShape(shape: Shape): WireWriter {
  const message = new WireWriter();
  for (const dimension of shape) {
    const one = new WireWriter();
    message.message(
      SHAPE.dimension,
      typeof dimension === 'number' ? one.int(DIMENSION.value, dimension) : one.string(DIMENSION.symbol, dimension),
    );
  }
  return message;
}

function encodeValue(name: string, { dtype, shape }: Value): WireWriter {
  const tensor = new WireWriter().int(TENSOR_TYPE.elementType, DATA_TYPE[dtype]).message(TENSOR_TYPE.shape, encodeShape(shape));
  return new WireWriter().string(VALUE.name, name).message(VALUE.type, new WireWriter().message(TYPE.tensor, tensor));
}

type Attribute = { [Kind in keyof AttributeTypes]: readonly [Kind, AttributeTypes[Kind]] }[keyof AttributeTypes];

function encodeAttribute(name: string, [kind, value]: Attribute, names: Names): WireWriter {
  const message = new WireWriter().string(ATTRIBUTE.name, name).int(ATTRIBUTE.type, ATTRIBUTE_TYPE[kind === 'dtype' ? 'int' : kind]);
  switch (kind) {
    case 'int':
      return message.int(ATTRIBUTE.int, value);
    case 'float':
      return message.float(ATTRIBUTE.float, value);
    case 'string':
      return message.string(ATTRIBUTE.string, value);
    case 'dtype':
      return message.int(ATTRIBUTE.int, DATA_TYPE[value satisfies DType]);
    case 'ints':
      return message.packedVarints(ATTRIBUTE.ints, value);
    case 'floats':
      for (const each of value) message.float(ATTRIBUTE.floats, each);
      return message;
    case 'strings':
      for (const each of value) message.string(ATTRIBUTE.strings, each);
      return message;
    case 'graph':
      return message.message(ATTRIBUTE.graph, encodeGraph(value, names, undefined));
  }
}

function encodeNode(node: Node, names: Names): WireWriter {
  const nameOf = (value: Value | undefined): string => (value === undefined ? '' : names.get(value)!);
  const message = new WireWriter();
  for (const value of node.inputs) message.string(NODE.input, nameOf(value));
  for (const value of node.outputs) message.string(NODE.output, nameOf(value));
  message.string(NODE.name, node.name).string(NODE.opType, node.op);
  const kinds = OPERATORS[node.op as OperatorName].attributes as Readonly<Record<string, keyof AttributeTypes>>;
  for (const [name, value] of Object.entries(node.attributes)) {
    if (value !== undefined) message.message(NODE.attribute, encodeAttribute(name, [kinds[name], value] as Attribute, names));
  }
  return message;
}

function encodeGraph(graph: Graph, names: Names, external: ExternalData | undefined): WireWriter {
  const message = new WireWriter();
  for (const node of graph.nodes) message.message(GRAPH.node, encodeNode(node, names));
  message.string(GRAPH.name, graph.name);
  for (const [value, tensor] of graph.initializers) message.message(GRAPH.initializer, encodeTensor(names.get(value)!, tensor, external));
  for (const value of graph.inputs) message.message(GRAPH.input, encodeValue(names.get(value)!, value));
  for (const { value } of graph.outputs) message.message(GRAPH.output, encodeValue(names.get(value)!, value));
  return message;
}

function weightBytes({ initializers }: Graph): number {
  let total = 0;
  for (const { data } of initializers.values()) if (ArrayBuffer.isView(data)) total += data.byteLength;
  return total;
}

/** A graph as an ONNX model. Its inputs and outputs have their names there; the names of other values may differ. */
export function encodeOnnx(graph: Graph, { mostWeightBytes = MOST_WEIGHT_BYTES }: EncodeOnnxOptions = {}): OnnxFiles {
  const external: ExternalData | undefined =
    weightBytes(graph) > mostWeightBytes ? { file: EXTERNAL_DATA_FILE, parts: [], byteLength: 0 } : undefined;
  const model = new WireWriter()
    .int(MODEL.irVersion, IR_VERSION)
    .string(MODEL.producerName, 'slipway')
    .message(MODEL.opsetImport, new WireWriter().string(OPSET.domain, '').int(OPSET.version, OPSET_VERSION))
    .message(MODEL.graph, encodeGraph(graph, nameValues(graph), external));
  return { model: model.parts, data: external?.parts ?? [] };
}
