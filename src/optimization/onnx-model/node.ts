import { DATA_TYPE, TENSOR_TYPE, TYPE, VALUE } from '../../compiler/onnx/fields.ts';
import { WireWriter } from '../../protobuf/wire-writer.ts';
import type { FixedDType } from '../../tensor/dtype.ts';
import type { OnnxAttribute, OnnxNode, OnnxValue } from './model.ts';

/** A node of ONNX' own operators, or of another domain. */
export function makeNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, OnnxAttribute>> = {},
  domain = '',
): OnnxNode {
  return {
    op,
    domain,
    // Nodes need no names, and names take bytes.
    name: '',
    inputs: [...inputs],
    outputs: [...outputs],
    attributes: new Map(Object.entries(attributes)),
    rest: [],
  };
}

export function intAttribute(value: number): OnnxAttribute {
  return { kind: 'int', value, rest: [] };
}

export function intsAttribute(value: readonly number[]): OnnxAttribute {
  return { kind: 'ints', value, rest: [] };
}

/** An integer attribute of a node as a number; `otherwise` where it has none. */
export function intOf(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'int' ? Number(attribute.value) : otherwise;
}

export function floatOf(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : otherwise;
}

/** A list of integers of a node; undefined where it has none. */
export function intsOf(node: OnnxNode, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value.map(Number) : undefined;
}

/** A value that is a tensor, of any shape where none is given. */
export function tensorValue(name: string, dtype: FixedDType): OnnxValue {
  const tensor = new WireWriter().int(TENSOR_TYPE.elementType, DATA_TYPE[dtype]);
  return { name, rest: [new WireWriter().message(VALUE.type, new WireWriter().message(TYPE.tensor, tensor)).finish()] };
}
