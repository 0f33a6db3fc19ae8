import type { Arithmetic } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Attributes, Node, Value } from '../graph/graph.ts';

/** One node, while the gradient goes back through it. */
export interface DerivativeCall {
  readonly graph: GraphBuilder;
  /** On the dtype of the gradient. */
  readonly math: Arithmetic;
  readonly attributes: Attributes;
  readonly inputs: readonly (Value | undefined)[];
  /** An input that must be there. */
  input(index: number): Value;
  /** The node's own outputs, to be used again. */
  output(index: number): Value;
  /** The gradient of the first output. */
  readonly gradient: Value;
  /** The gradient of any output; undefined when nothing depends on it. */
  gradientOf(index: number): Value | undefined;
  /** Whether the gradient of an input is asked for. */
  wants(index: number): boolean;
  /** Whether that of a value is asked for which the node's body takes from around it. */
  wantsOf(value: Value): boolean;
  /** Gives the gradient of such a value. */
  give(value: Value, gradient: Value): void;
  /** `addGradients` for other nodes, those of a body. */
  gradientsIn(nodes: readonly Node[], seeds: ReadonlyMap<Value, Value>, sources: readonly Value[]): readonly (Value | undefined)[];
  /** Ends with a message that names the layer. The sentence goes on after "the gradient of the operator Conv ". */
  fail(message: string): never;
}

/**
 * The gradients of a node's inputs, in their order; undefined for those that have none, such as indexes. A gradient may
 * have the shape that its input was broadcast to: it is summed up to the input's own.
 */
export type Derivative = (call: DerivativeCall) => readonly (Value | undefined)[];

export function intsOf({ attributes }: DerivativeCall, name: string): readonly number[] | undefined {
  return attributes[name] as readonly number[] | undefined;
}

export function numberOf({ attributes }: DerivativeCall, name: string, otherwise: number): number {
  return (attributes[name] as number | undefined) ?? otherwise;
}

/** The integers of an input that is an initializer; undefined when it is left out. */
export function constantIntsOf(call: DerivativeCall, index: number): number[] | undefined {
  const value = call.inputs[index];
  if (value === undefined) return undefined;
  const tensor = call.graph.tensorOf(value) ?? call.fail(`needs "${value.name}" to be known`);
  return Array.from(tensor.data as BigInt64Array | Int32Array, Number);
}

/** An axis counted from 0. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Whether a node is the product of a transposed matrix with another one and nothing more. */
export function isTransposedProduct(node: Node | undefined): node is Node {
  if (node?.op !== 'Gemm' || node.inputs[2] !== undefined) return false;
  const { alpha = 1, transA = 0, transB = 0 } = node.attributes;
  return alpha === 1 && transA === 1 && transB === 0;
}
