import type { DType } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Shape } from './dimension.ts';

/*
 * The graph form: nodes in an order in which they can be computed, and values between them. Its operators are those of
 * ONNX (`operators/`), so that writing it down is a translation of each node by itself. It is made by a builder
 * (`builder.ts`) and does not change any more.
 */

export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What one node gives and others take. Two values are the same when they are the same object. */
export interface Value extends ValueType {
  /** Unique in its graph and the graphs inside it. */
  readonly name: string;
}

/** The types that attributes of operators have in onnx.proto. A `dtype` is written as its number, a `graph` is the body of a Scan. */
export interface AttributeTypes {
  readonly int: number;
  readonly float: number;
  readonly string: string;
  readonly ints: readonly number[];
  readonly floats: readonly number[];
  readonly strings: readonly string[];
  readonly dtype: DType;
  readonly graph: Graph;
}

export type Attributes = Readonly<Record<string, AttributeTypes[keyof AttributeTypes] | undefined>>;

export interface Node {
  /** An operator of the table in `operators/operators.ts`. */
  readonly op: string;
  /** Unique in its graph. */
  readonly name: string;
  /** The layer that it belongs to, for messages; empty when it belongs to none. */
  readonly layer: string;
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Undefined where an optional output is wanted by nobody. */
  readonly outputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
}

export interface GraphOutput {
  readonly name: string;
  readonly value: Value;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly GraphOutput[];
  readonly nodes: readonly Node[];
  /** Values that are part of the graph, by the builder's `initializer` and `constant`. A body has none: it sees those around it. */
  readonly initializers: ReadonlyMap<Value, Tensor>;
}

/** The values that a node takes, with those that its bodies take from around them. */
export function usedBy(node: Node): Value[] {
  const used = node.inputs.filter((value) => value !== undefined);
  for (const attribute of Object.values(node.attributes)) {
    if (typeof attribute === 'object' && 'nodes' in attribute) used.push(...capturedBy(attribute));
  }
  return used;
}

/** The values that a body takes from the graphs around it. */
export function capturedBy(body: Graph): Value[] {
  const own = new Set<Value | undefined>([...body.inputs, ...body.nodes.flatMap(({ outputs }) => outputs)]);
  return [...body.nodes.flatMap(usedBy), ...body.outputs.map(({ value }) => value)].filter((value) => !own.has(value));
}
