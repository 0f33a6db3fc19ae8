/*
 * An ONNX model that can be edited: messages of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) with the
 * fields that a rewrite needs. `rest` are the fields that nothing here reads, as they lay in the file; they are written back.
 */

/** Whole fields of a message, tags included. */
export type RawFields = Uint8Array[];

export interface OnnxModel {
  /** Version of every operator set that the model uses, by domain; that of ONNX itself has the domain ''. */
  readonly opsets: Map<string, number>;
  readonly graph: OnnxGraph;
  irVersion: number;
  readonly rest: RawFields;
}

/** The graph of a model, or one that an attribute holds. */
export interface OnnxGraph {
  readonly name: string;
  /** In an order in which they can be computed. */
  nodes: OnnxNode[];
  readonly initializers: Map<string, OnnxTensor>;
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  /** What the file says of the types of values inside; it need not say anything. */
  values: OnnxValue[];
  readonly rest: RawFields;
}

export interface OnnxNode {
  op: string;
  /** '' for ONNX' own operators. */
  domain: string;
  name: string;
  /** Names of values; '' for an optional one that is left out. */
  inputs: string[];
  outputs: string[];
  readonly attributes: Map<string, OnnxAttribute>;
  readonly rest: RawFields;
}

export type OnnxAttribute = (
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number | bigint }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'graph'; readonly value: OnnxGraph }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly (number | bigint)[] }
  | { readonly kind: 'strings'; readonly value: readonly Uint8Array[] }
  /** A list of tensors or graphs, a sparse tensor, a type: all in `rest`. */
  | { readonly kind: 'other' }
) & { readonly rest: RawFields };

/** A name and, in `rest`, its type. */
export interface OnnxValue {
  readonly name: string;
  readonly rest: RawFields;
}

/** Where the elements of a tensor are. */
export type TensorContent =
  /** Little-endian, as `raw_data`. */
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  /** Fields such as `float_data`, as they lay in the file. */
  | { readonly kind: 'typed'; readonly fields: RawFields }
  /** A part of another file. `path` is absolute and inside the model's folder, with every link followed. */
  | { readonly kind: 'external'; readonly path: string; readonly offset: number; readonly byteLength: number };

export interface OnnxTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly shape: readonly number[];
  readonly content: TensorContent;
  readonly rest: RawFields;
}

/** The graphs in the attributes of a node. */
function subgraphsOf(node: OnnxNode): OnnxGraph[] {
  return [...node.attributes.values()].flatMap((attribute) => (attribute.kind === 'graph' ? [attribute.value] : []));
}

/** Names of the values that a node takes, those that graphs in its attributes take from around it included. */
export function takenBy(node: OnnxNode): string[] {
  const names = node.inputs.filter((name) => name !== '');
  for (const graph of subgraphsOf(node)) names.push(...takenFromAround(graph));
  return names;
}

/** Names that a graph takes from around it. */
function takenFromAround(graph: OnnxGraph): string[] {
  const own = new Set<string>([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name)]);
  for (const node of graph.nodes) for (const name of node.outputs) own.add(name);
  return [...graph.nodes.flatMap(takenBy), ...graph.outputs.map(({ name }) => name)].filter((name) => !own.has(name));
}

/** Every graph of a model: its own and those in attributes, to any depth. */
export function* graphsOf(graph: OnnxGraph): Generator<OnnxGraph> {
  yield graph;
  for (const node of graph.nodes) for (const inner of subgraphsOf(node)) yield* graphsOf(inner);
}
