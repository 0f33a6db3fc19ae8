import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXTERNAL_DATA_FILE, MOST_WEIGHT_BYTES } from '../../compiler/onnx/encode-onnx.ts';
import { addReference, LEAST_EXTERNAL_BYTES, nextOffset } from '../../compiler/onnx/encode-tensor.ts';
import { ATTRIBUTE, ATTRIBUTE_TYPE, GRAPH, MODEL, NODE, OPSET, TENSOR, VALUE } from '../../compiler/onnx/fields.ts';
import { WireWriter } from '../../protobuf/wire-writer.ts';
import { encodeBinaryTensor } from '../../tensor/binary.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue, TensorContent } from './model.ts';
import { ONNX_FILE } from './read-model.ts';
import { contentBytes, dtypeOf, rawBytes, tensorOf } from './tensor-content.ts';

/** Elements that go to the file of weights, in their order there. */
interface DataFile {
  readonly parts: { readonly offset: number; readonly content: TensorContent }[];
  byteLength: number;
}

export interface WriteOptions {
  /** Weights of more bytes in all go into a file of their own. Default: just under 2 GiB, where ONNX files end. */
  readonly mostWeightBytes?: number;
}

/** Typed elements as raw ones, which alone can be in another file. */
function movable(tensor: OnnxTensor): TensorContent {
  if (tensor.content.kind !== 'typed') return tensor.content;
  const dtype = dtypeOf(tensor.dataType);
  return dtype === undefined || dtype === 'BYTES' ? tensor.content : { kind: 'raw', bytes: encodeBinaryTensor(tensorOf(tensor)) };
}

function encodeTensor(tensor: OnnxTensor, data: DataFile | undefined): WireWriter {
  const { name, dataType, shape, rest } = tensor;
  const message = new WireWriter();
  if (shape.length > 0) message.packedVarints(TENSOR.dims, shape);
  message.int(TENSOR.dataType, dataType).string(TENSOR.name, name);
  const content = data === undefined ? tensor.content : movable(tensor);
  if (data !== undefined && content.kind !== 'typed' && contentBytes(content) >= LEAST_EXTERNAL_BYTES) {
    const offset = nextOffset(data.byteLength);
    data.parts.push({ offset, content });
    data.byteLength = offset + contentBytes(content);
    addReference(message, EXTERNAL_DATA_FILE, offset, contentBytes(content));
  } else if (content.kind === 'typed') message.fields(content.fields);
  else message.bytes(TENSOR.rawData, rawBytes(content)!);
  return message.fields(rest);
}

function encodeAttribute(name: string, attribute: OnnxAttribute): WireWriter {
  const message = new WireWriter().string(ATTRIBUTE.name, name);
  if (attribute.kind === 'other') return message.fields(attribute.rest);
  message.int(ATTRIBUTE.type, ATTRIBUTE_TYPE[attribute.kind]);
  switch (attribute.kind) {
    case 'float':
      message.float(ATTRIBUTE.float, attribute.value);
      break;
    case 'int':
      message.int(ATTRIBUTE.int, attribute.value);
      break;
    case 'string':
      message.bytes(ATTRIBUTE.string, attribute.value);
      break;
    case 'tensor':
      message.message(ATTRIBUTE.tensor, encodeTensor(attribute.value, undefined));
      break;
    case 'graph':
      message.message(ATTRIBUTE.graph, encodeGraph(attribute.value, undefined));
      break;
    case 'floats':
      for (const each of attribute.value) message.float(ATTRIBUTE.floats, each);
      break;
    case 'ints':
      if (attribute.value.length > 0) message.packedVarints(ATTRIBUTE.ints, attribute.value);
      break;
    case 'strings':
      for (const each of attribute.value) message.bytes(ATTRIBUTE.strings, each);
      break;
  }
  return message.fields(attribute.rest);
}

function encodeNode({ op, domain, name, inputs, outputs, attributes, rest }: OnnxNode): WireWriter {
  const message = new WireWriter();
  for (const input of inputs) message.string(NODE.input, input);
  for (const output of outputs) message.string(NODE.output, output);
  if (name !== '') message.string(NODE.name, name);
  message.string(NODE.opType, op);
  if (domain !== '') message.string(NODE.domain, domain);
  for (const [attributeName, attribute] of attributes) message.message(NODE.attribute, encodeAttribute(attributeName, attribute));
  return message.fields(rest);
}

function encodeValue({ name, rest }: OnnxValue): WireWriter {
  return new WireWriter().string(VALUE.name, name).fields(rest);
}

function encodeGraph(graph: OnnxGraph, data: DataFile | undefined): WireWriter {
  const message = new WireWriter();
  for (const node of graph.nodes) message.message(GRAPH.node, encodeNode(node));
  message.string(GRAPH.name, graph.name);
  for (const tensor of graph.initializers.values()) message.message(GRAPH.initializer, encodeTensor(tensor, data));
  for (const value of graph.inputs) message.message(GRAPH.input, encodeValue(value));
  for (const value of graph.outputs) message.message(GRAPH.output, encodeValue(value));
  for (const value of graph.values) message.message(GRAPH.valueInfo, encodeValue(value));
  return message.fields(graph.rest);
}

function encodeModel({ irVersion, opsets, graph, rest }: OnnxModel, data: DataFile | undefined): WireWriter {
  const message = new WireWriter().int(MODEL.irVersion, irVersion);
  for (const [domain, version] of opsets) {
    message.message(MODEL.opsetImport, new WireWriter().string(OPSET.domain, domain).int(OPSET.version, version));
  }
  return message.message(MODEL.graph, encodeGraph(graph, data)).fields(rest);
}

/** Writes the parts one by one, so that weights of many gigabytes are never in memory together. */
async function writeData(path: string, { parts }: DataFile): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const { offset, content } of parts) {
      const bytes = rawBytes(content)!;
      for (let done = 0; done < bytes.byteLength;) {
        const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, offset + done);
        done += bytesWritten;
      }
    }
  } finally {
    await file.close();
  }
}

/**
 * Writes a model into a folder: `model.onnx`, and `model.onnx.data` beside it where the weights are too many for one file.
 * The folder must not be the one that the model was read from, since its weights may still lie there.
 * @returns the names of the files
 */
export async function writeOnnxModel(
  model: OnnxModel,
  folder: string,
  { mostWeightBytes = MOST_WEIGHT_BYTES }: WriteOptions = {},
): Promise<readonly string[]> {
  const weightBytes = [...model.graph.initializers.values()].reduce((total, { content }) => total + contentBytes(content), 0);
  const data: DataFile | undefined = weightBytes > mostWeightBytes ? { parts: [], byteLength: 0 } : undefined;
  const { parts } = encodeModel(model, data);
  await writeFile(join(folder, ONNX_FILE), parts);
  if (data === undefined || data.parts.length === 0) return [ONNX_FILE];
  await writeData(join(folder, EXTERNAL_DATA_FILE), data);
  return [ONNX_FILE, EXTERNAL_DATA_FILE];
}
