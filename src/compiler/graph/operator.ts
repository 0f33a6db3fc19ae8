import type { Tensor } from '../../tensor/tensor.ts';
import { broadcast, formatDimensions, type Shape } from './dimension.ts';
import type { AttributeTypes, Value, ValueType } from './graph.ts';

/** The type of each attribute that an operator may have. */
export type AttributeKinds = Readonly<Record<string, keyof AttributeTypes>>;

/** The attributes of a node by their kinds. All may be left out as far as types go; `infer` says which it needs. */
export type AttributesOf<Kinds extends AttributeKinds> = { readonly [Name in keyof Kinds]?: AttributeTypes[Kinds[Name]] | undefined };

/** One use of an operator, while its node is added. */
export interface OperatorCall<Kinds extends AttributeKinds = AttributeKinds> {
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: AttributesOf<Kinds>;
  /** An input that must be there. */
  input(index: number): Value;
  /** What an input holds, when it is an initializer. */
  constantOf(index: number): Tensor | undefined;
  /** What an input holds when it is a list of sizes, known or not: an initializer, or computed from the shapes of others. */
  sizesOf(index: number): Shape | undefined;
  /** Ends the call with a message that names the layer and the operator. The sentence goes on after "the operator Conv ". */
  fail(message: string): never;
}

/** An operator of ONNX at the opset that `onnx/` writes: what it takes and which types its outputs have. */
export interface Operator<Kinds extends AttributeKinds = AttributeKinds> {
  /** The fewest and the most inputs. */
  readonly arity: readonly [number, number];
  readonly attributes: Kinds;
  /** True when each output after the first may be left out; a first one may be, too, if `firstOutputOptional`. */
  readonly optionalOutputs?: boolean;
  readonly firstOutputOptional?: boolean;
  /** Checks the inputs and gives the types of all outputs. */
  infer(call: OperatorCall<Kinds>): readonly ValueType[];
  /** What the first output holds, for operators that sizes are computed by; undefined when it can't be told. */
  sizes?(call: OperatorCall<Kinds>): Shape | undefined;
}

/** Keeps the kinds of the attributes as they are written, so that the builder can check those of a node. */
export function defineOperator<const Kinds extends AttributeKinds>(operator: Operator<Kinds>): Operator<Kinds> {
  return operator;
}

/** The number of inputs that an operator without an upper bound may have. */
export const UNBOUNDED = Number.POSITIVE_INFINITY;

/** The inputs that are there, which must all have one dtype. */
export function alikeInputs(call: OperatorCall): Value[] {
  const inputs = call.inputs.filter((value) => value !== undefined);
  const [first] = inputs;
  for (const { dtype, name } of inputs) {
    if (dtype !== first!.dtype) call.fail(`takes "${name}" as ${dtype} beside "${first!.name}", which is ${first!.dtype}`);
  }
  return inputs;
}

/** The shape that inputs broadcast to. */
export function broadcastInputs(call: OperatorCall, inputs: readonly Value[]): Shape {
  const shape = broadcast(inputs.map((value) => value.shape));
  return shape ?? call.fail(`cannot broadcast the shapes ${inputs.map((value) => formatDimensions(value.shape)).join(' and ')}`);
}

/** An axis counted from 0. */
export function axisIn(call: OperatorCall, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank || !Number.isInteger(axis)) call.fail(`has no axis ${axis} in a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** The integers of an input that must be known when the graph is made; undefined when the input is left out. */
export function integersOf(call: OperatorCall, index: number, what: string): number[] | undefined {
  if (call.inputs[index] === undefined) return undefined;
  const tensor = call.constantOf(index) ?? call.fail(`needs its ${what} to be known`);
  return Array.from(tensor.data as BigInt64Array | Int32Array, Number);
}

/** The sizes that an input holds, each a number or a symbol. */
export function sizesOf(call: OperatorCall, index: number): Shape {
  return call.sizesOf(index) ?? call.fail(`cannot tell which sizes "${call.input(index).name}" holds`);
}

export function checkRank(call: OperatorCall, value: Value, rank: number): void {
  if (value.shape.length !== rank)
    call.fail(`needs a tensor of rank ${rank}; "${value.name}" has the shape ${formatDimensions(value.shape)}`);
}
