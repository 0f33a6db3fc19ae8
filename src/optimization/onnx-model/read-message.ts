import { ATTRIBUTE, ATTRIBUTE_TYPE, GRAPH, MODEL, NODE, OPSET, VALUE } from '../../compiler/onnx/fields.ts';
import { FIXED32, LENGTH_DELIMITED, WireReader } from '../../protobuf/wire-reader.ts';
import { invalidModel } from './invalid-model.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue, RawFields } from './model.ts';
import { createReadBudget, type ReadBounds, type ReadBudget } from './read-budget.ts';
import { readTensor, type UnresolvedTensor } from './read-tensor.ts';

/** Graphs inside of graphs; models have two or three. */
const MAX_DEPTH = 32;

interface Walk {
  readonly budget: ReadBudget;
  depth: number;
  /** Tensors whose elements are in other files. */
  readonly external: UnresolvedTensor[];
}

function tensorIn(bytes: Buffer, walk: Walk): OnnxTensor {
  const tensor = readTensor(bytes, walk.budget);
  if ('location' in tensor.content) walk.external.push(tensor);
  return tensor as OnnxTensor;
}

function readValue(bytes: Buffer, { budget }: Walk): OnnxValue {
  budget.part();
  budget.bytes(bytes.length);
  const reader = new WireReader(bytes);
  const rest: RawFields = [];
  let name = '';
  while (reader.next()) {
    if (reader.field === VALUE.name) name = reader.string();
    else budget.keep(reader, rest);
  }
  return { name, rest };
}

type Kind = OnnxAttribute['kind'];

const KIND_OF = new Map<number, Kind>(Object.entries(ATTRIBUTE_TYPE).map(([kind, type]) => [type, kind as Kind]));

/** Files from before the field `type` tell the kind by the fields that there are. */
const KIND_BY_FIELD = new Map<number, Kind>(
  (['float', 'int', 'string', 'tensor', 'graph', 'floats', 'ints', 'strings'] as const).map((kind) => [ATTRIBUTE[kind], kind]),
);

function pushInts(reader: WireReader, values: (number | bigint)[]): void {
  if (reader.wireType !== LENGTH_DELIMITED) {
    values.push(reader.int64());
    return;
  }
  const packed = reader.message();
  while (!packed.atEnd) values.push(packed.packedInt64());
}

function pushFloats(reader: WireReader, values: number[]): void {
  if (reader.wireType === FIXED32) {
    values.push(reader.float());
    return;
  }
  const packed = reader.bytes();
  for (let at = 0; at + 4 <= packed.length; at += 4) values.push(packed.readFloatLE(at));
}

/** An attribute with its name. */
function readAttribute(bytes: Buffer, walk: Walk): readonly [string, OnnxAttribute] {
  const { budget } = walk;
  budget.part();
  const reader = new WireReader(bytes);
  const fields = new Map<Kind, unknown>();
  const [floats, ints, strings]: [number[], (number | bigint)[], Uint8Array[]] = [[], [], []];
  const rest: RawFields = [];
  let name = '';
  let type: Kind | undefined;
  let content = 0;
  while (reader.next()) {
    const { field } = reader;
    const kind = KIND_BY_FIELD.get(field);
    if (field === ATTRIBUTE.name) name = reader.string();
    else if (field === ATTRIBUTE.type) type = KIND_OF.get(Number(reader.int64())) ?? 'other';
    else if (kind === 'tensor' || kind === 'graph') {
      const inner = reader.bytes();
      // Counted for themselves.
      content += inner.length;
      fields.set(kind, kind === 'tensor' ? tensorIn(inner, walk) : readGraph(inner, walk));
    } else if (kind === 'float') fields.set(kind, reader.float());
    else if (kind === 'int') fields.set(kind, reader.int64());
    else if (kind === 'string') fields.set(kind, reader.bytes());
    else if (kind === 'floats') pushFloats(reader, floats);
    else if (kind === 'ints') pushInts(reader, ints);
    else if (kind === 'strings') {
      budget.part();
      strings.push(reader.bytes());
    } else budget.keep(reader, rest);
  }
  budget.bytes(bytes.length - content);
  if (floats.length > 0) fields.set('floats', floats);
  if (ints.length > 0) fields.set('ints', ints);
  if (strings.length > 0) fields.set('strings', strings);
  type ??= [...fields.keys()][0] ?? 'other';
  if (type === 'other') {
    // As a whole, since its type is one of those that are not read.
    return [name, { kind: 'other', rest: wholeFields(bytes, ATTRIBUTE.name, budget) }];
  }
  const empty = { float: 0, int: 0, string: Buffer.alloc(0), floats: [], ints: [], strings: [] } as const;
  const value = fields.get(type) ?? empty[type as keyof typeof empty];
  if (value === undefined) throw invalidModel(`has an attribute "${name}" without its ${type}`);
  return [name, { kind: type, value, rest } as OnnxAttribute];
}

function wholeFields(bytes: Buffer, except: number, budget: ReadBudget): RawFields {
  const reader = new WireReader(bytes);
  const fields: RawFields = [];
  while (reader.next()) {
    if (reader.field === except) reader.skip();
    else budget.keep(reader, fields);
  }
  return fields;
}

function readNode(bytes: Buffer, walk: Walk): OnnxNode {
  const { budget } = walk;
  budget.part();
  const reader = new WireReader(bytes);
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes = new Map<string, OnnxAttribute>();
  const rest: RawFields = [];
  let [op, domain, name] = ['', '', ''];
  let counted = 0;
  while (reader.next()) {
    if (reader.field === NODE.input) inputs.push(reader.string());
    else if (reader.field === NODE.output) outputs.push(reader.string());
    else if (reader.field === NODE.opType) op = reader.string();
    else if (reader.field === NODE.domain) domain = reader.string();
    else if (reader.field === NODE.name) name = reader.string();
    else if (reader.field === NODE.attribute) {
      const inner = reader.bytes();
      counted += inner.length;
      const [attributeName, attribute] = readAttribute(inner, walk);
      attributes.set(attributeName, attribute);
    } else budget.keep(reader, rest);
  }
  budget.bytes(bytes.length - counted);
  // 'ai.onnx' is the other spelling of ONNX' own domain.
  return { op, domain: domain === 'ai.onnx' ? '' : domain, name, inputs, outputs, attributes, rest };
}

function readGraph(bytes: Buffer, walk: Walk): OnnxGraph {
  walk.depth += 1;
  if (walk.depth > MAX_DEPTH) throw invalidModel(`has more than ${MAX_DEPTH} graphs inside each other`);
  const reader = new WireReader(bytes);
  const graph = {
    name: '',
    nodes: [] as OnnxNode[],
    initializers: new Map<string, OnnxTensor>(),
    inputs: [] as OnnxValue[],
    outputs: [] as OnnxValue[],
    values: [] as OnnxValue[],
    rest: [] as RawFields,
  };
  while (reader.next()) {
    if (reader.field === GRAPH.node) graph.nodes.push(readNode(reader.bytes(), walk));
    else if (reader.field === GRAPH.name) graph.name = reader.string();
    else if (reader.field === GRAPH.initializer) {
      const tensor = tensorIn(reader.bytes(), walk);
      if (graph.initializers.has(tensor.name)) throw invalidModel(`has two initializers of the name "${tensor.name}"`);
      graph.initializers.set(tensor.name, tensor);
    } else if (reader.field === GRAPH.input) graph.inputs.push(readValue(reader.bytes(), walk));
    else if (reader.field === GRAPH.output) graph.outputs.push(readValue(reader.bytes(), walk));
    else if (reader.field === GRAPH.valueInfo) graph.values.push(readValue(reader.bytes(), walk));
    else {
      walk.budget.keep(reader, graph.rest);
      walk.budget.bytes(graph.rest.at(-1)!.length);
    }
  }
  walk.depth -= 1;
  return graph;
}

function readOpset(reader: WireReader): readonly [string, number] {
  let domain = '';
  let version = 0;
  while (reader.next()) {
    if (reader.field === OPSET.domain) domain = reader.string();
    else if (reader.field === OPSET.version) version = Number(reader.int64());
    else reader.skip();
  }
  return [domain === 'ai.onnx' ? '' : domain, version];
}

/**
 * Reads the message of a model, without looking at files beside it and at the order of its nodes.
 * @throws SlipwayError INVALID_MODEL, or INVALID_REQUEST when the bytes are no protobuf message.
 */
export function readModelMessage(bytes: Buffer, bounds: ReadBounds): { model: OnnxModel; external: UnresolvedTensor[] } {
  const walk: Walk = { budget: createReadBudget(bounds), depth: 0, external: [] };
  const reader = new WireReader(bytes);
  const opsets = new Map<string, number>();
  const rest: RawFields = [];
  let irVersion = 0;
  let graph: OnnxGraph | undefined;
  while (reader.next()) {
    if (reader.field === MODEL.irVersion) irVersion = Number(reader.int64());
    else if (reader.field === MODEL.opsetImport) opsets.set(...readOpset(reader.message()));
    else if (reader.field === MODEL.graph) graph = readGraph(reader.bytes(), walk);
    else walk.budget.keep(reader, rest);
  }
  if (graph === undefined) throw invalidModel('has no graph');
  if (opsets.size === 0) throw invalidModel('does not say which operator set it uses');
  return { model: { irVersion, opsets, graph, rest }, external: walk.external };
}
