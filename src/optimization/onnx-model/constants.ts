import type { NumericData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './model.ts';
import { intsOf } from './node.ts';
import { makeTensor, tensorOf } from './tensor-content.ts';

/** From this version of the format on an initializer need not be an input as well; one that is, callers may replace. */
const FREE_INITIALIZERS = 4;

/** Quantized operators and their types are in every version of the format from here on. */
const LEAST_IR_VERSION = 8;

/**
 * Brings the format to a version that a rewrite can count on. In files of old versions every initializer is an input too,
 * though nobody gives it.
 */
export function modernizeFormat(model: OnnxModel): void {
  const { graph } = model;
  if (model.irVersion < FREE_INITIALIZERS) graph.inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  model.irVersion = Math.max(model.irVersion, LEAST_IR_VERSION);
}

/** The elements of an initializer that no caller can replace. */
export function constantOf(graph: OnnxGraph, name: string | undefined): OnnxTensor | undefined {
  if (name === undefined || graph.inputs.some((input) => input.name === name)) return undefined;
  return graph.initializers.get(name);
}

/** Elements in another order of axes. */
export function transposed({ dtype, shape, data }: Tensor, order: readonly number[]): Tensor {
  const sizes = order.map((axis) => shape[axis]!);
  const strides = shape.map((_size, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const steps = order.map((axis) => strides[axis]!);
  const source = data as Float32Array;
  const result = source.slice();
  const at = sizes.map(() => 0);
  let from = 0;
  for (let index = 0; index < result.length; index += 1) {
    result[index] = source[from]!;
    for (let axis = sizes.length - 1; axis >= 0; axis -= 1) {
      at[axis]! += 1;
      from += steps[axis]!;
      if (at[axis]! < sizes[axis]!) break;
      from -= steps[axis]! * sizes[axis]!;
      at[axis] = 0;
    }
  }
  return { dtype, shape: sizes, data: result as NumericData };
}

function constantValue(node: OnnxNode): OnnxTensor | undefined {
  const [output] = node.outputs;
  const attribute = [...node.attributes.values()][0];
  if (node.attributes.size !== 1 || attribute === undefined || output === undefined) return undefined;
  switch (attribute.kind) {
    case 'tensor':
      return { ...attribute.value, name: output };
    case 'float':
      return makeTensor(output, { dtype: 'FP32', shape: [], data: Float32Array.of(attribute.value) });
    case 'floats':
      return makeTensor(output, { dtype: 'FP32', shape: [attribute.value.length], data: Float32Array.from(attribute.value) });
    case 'int':
      return makeTensor(output, { dtype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(attribute.value)) });
    case 'ints':
      return makeTensor(output, { dtype: 'INT64', shape: [attribute.value.length], data: BigInt64Array.from(attribute.value, BigInt) });
    default:
      return undefined;
  }
}

function folded(graph: OnnxGraph, node: OnnxNode): OnnxTensor | undefined {
  const [output] = node.outputs;
  if (node.domain !== '' || output === undefined) return undefined;
  if (node.op === 'Constant') return constantValue(node);
  const source = constantOf(graph, node.inputs[0]);
  if (source === undefined) return undefined;
  if (node.op === 'Identity') return { ...source, name: output };
  if (node.op !== 'Transpose') return undefined;
  const tensor = tensorOf(source);
  if (tensor.dtype === 'BYTES') return undefined;
  const order = intsOf(node, 'perm') ?? [...tensor.shape.keys()].toReversed();
  return makeTensor(output, transposed(tensor, order) as Parameters<typeof makeTensor>[1]);
}

/** Turns nodes that give the same at every run, Constant and what only passes or turns constants, into initializers. */
export function foldConstants(graph: OnnxGraph): void {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  graph.nodes = graph.nodes.filter((node) => {
    const tensor = node.outputs.some((name) => outputs.has(name)) ? undefined : folded(graph, node);
    if (tensor !== undefined) graph.initializers.set(tensor.name, tensor);
    return tensor === undefined;
  });
}
