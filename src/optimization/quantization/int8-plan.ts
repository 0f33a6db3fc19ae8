import { constantOf } from '../onnx-model/constants.ts';
import { type GraphIndex, indexGraph } from '../onnx-model/graph-index.ts';
import type { OnnxGraph, OnnxNode } from '../onnx-model/model.ts';
import { floatOf, intOf } from '../onnx-model/node.ts';
import { dtypeOf } from '../onnx-model/tensor-content.ts';
import { countProblems } from './rewrite.ts';

/*
 * Which values of a graph become integers so that ONNX Runtime computes with them: its optimizer takes DequantizeLinear →
 * operator → QuantizeLinear for one operator of integers, for operators and places of these kinds
 * (onnxruntime/core/optimizer/qdq_transformer/selectors_actions).
 */

/** Operators that multiply by weights and can do so with integers. */
export const WEIGHTED_OPERATORS = ['Conv', 'Gemm', 'MatMul'] as const;
export type WeightedOperator = (typeof WEIGHTED_OPERATORS)[number];

/** The axis of the weights whose elements are channels of the output. */
const CHANNEL_AXIS: Readonly<Record<WeightedOperator, (node: OnnxNode, rank: number) => number | undefined>> = {
  Conv: () => 0,
  Gemm: (node) => (intOf(node, 'transB', 0) === 0 ? 1 : 0),
  MatMul: (_node, rank) => (rank === 2 ? 1 : undefined),
};

/** Operators whose output has values of its input only, and so its scale. */
const PASSING = new Set(['MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze']);

/** Operators on integers whose output has a scale of its own. */
const REACHED = new Set(['Add', 'Mul', 'Concat', 'AveragePool', 'GlobalAveragePool', 'LeakyRelu', 'Sigmoid', 'Relu', 'Clip']);

/** Operators that cut values off where the range of integers ends as well. */
const CUTTING = new Set(['Relu', 'Clip']);

/** A node that multiplies by weights. */
export interface WeightedNode {
  readonly node: OnnxNode;
  readonly weight: string;
  readonly bias: string | undefined;
  /** Axis of the weights with the channels of the output; undefined where they are not told apart. */
  readonly axis: number | undefined;
  /** Its output where that must become integers. */
  readonly output: string | undefined;
}

export interface Int8Plan {
  readonly weighted: readonly WeightedNode[];
  /** All nodes that compute with integers. */
  readonly nodes: ReadonlySet<OnnxNode>;
  /** Nodes that the range of integers does the work of, each with the node that it follows. */
  readonly absorbed: ReadonlyMap<OnnxNode, OnnxNode>;
  /** Values that become integers, each with the value whose scale it has. */
  readonly values: ReadonlyMap<string, string>;
  /** FP32 constants that become integers. */
  readonly constants: ReadonlySet<string>;
  /** Operators with weights that stay as they are, in words. */
  readonly unchanged: readonly string[];
}

function isFloatConstant(graph: OnnxGraph, name: string | undefined): boolean {
  const constant = constantOf(graph, name);
  return constant !== undefined && dtypeOf(constant.dataType) === 'FP32';
}

/** Why a node with weights cannot compute with integers; undefined when it can. */
function problemOf(graph: OnnxGraph, node: OnnxNode): string | undefined {
  const [, weight, bias] = node.inputs;
  if (!isFloatConstant(graph, weight)) return 'its weights are no FP32 constants';
  if (bias !== undefined && bias !== '' && !isFloatConstant(graph, bias)) return 'its bias is no FP32 constant';
  if (node.op !== 'Gemm') return undefined;
  if (intOf(node, 'transA', 0) !== 0) return 'it turns its input';
  if (floatOf(node, 'alpha', 1) !== 1 || floatOf(node, 'beta', 1) !== 1) return 'it has factors';
  const { shape } = constantOf(graph, weight)!;
  const columns = shape[intOf(node, 'transB', 0) === 0 ? 1 : 0];
  const biasShape = bias === undefined || bias === '' ? undefined : constantOf(graph, bias)!.shape;
  return biasShape === undefined || (biasShape.at(-1) === columns && biasShape.slice(0, -1).every((size) => size === 1))
    ? undefined
    : 'its bias is not one number for each column';
}

/**
 * Values that somebody takes as integers in the end: a node with weights, or one that passes integers on to such a node. What
 * comes to no such end stays a float, since each step of integers rounds once more.
 */
function wantedValues(graph: OnnxGraph, isWeighted: (node: OnnxNode) => boolean): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const node of graph.nodes.toReversed()) {
    if (node.domain !== '') continue;
    if (isWeighted(node)) wanted.add(node.inputs[0]!);
    else if ((PASSING.has(node.op) || REACHED.has(node.op)) && wanted.has(node.outputs[0]!)) {
      for (const name of REACHED.has(node.op) && !CUTTING.has(node.op) ? node.inputs : node.inputs.slice(0, 1)) wanted.add(name);
    }
  }
  return wanted;
}

/**
 * @param operators of the nodes with weights that are to compute with integers
 * @param excluded nodes with weights that are not to, each with the reason in words
 */
export function planInt8(
  graph: OnnxGraph,
  operators: readonly WeightedOperator[],
  excluded: ReadonlyMap<OnnxNode, string> = new Map(),
): Int8Plan {
  const isAsked = ({ op }: OnnxNode): boolean => (operators as readonly string[]).includes(op);
  const reasonAgainst = (node: OnnxNode): string | undefined => excluded.get(node) ?? problemOf(graph, node);
  const isWeighted = (node: OnnxNode): boolean => isAsked(node) && reasonAgainst(node) === undefined;
  const wanted = wantedValues(graph, isWeighted);
  const index: GraphIndex = indexGraph(graph);
  const nodes = new Set<OnnxNode>();
  const absorbed = new Map<OnnxNode, OnnxNode>();
  const values = new Map<string, string>();
  /** Values that could become integers, if somebody wants them so. */
  const offered = new Set<string>();
  const constants = new Set<string>();
  const weighted: WeightedNode[] = [];
  const problems: string[] = [];

  const take = (name: string): void => {
    if (!values.has(name)) values.set(name, name);
  };
  /** The output of a node, or that of what cuts it off. */
  const outputOf = (node: OnnxNode): string => {
    const [output] = node.outputs;
    const next = index.onlyTaker(output!);
    if (next === undefined || next.domain !== '' || !CUTTING.has(next.op) || next.inputs[0] !== output) return output!;
    absorbed.set(next, node);
    nodes.add(next);
    return next.outputs[0]!;
  };
  const isReady = (name: string): boolean => values.has(name) || offered.has(name);

  function addWeighted(node: OnnxNode): void {
    const [input, weight, bias] = node.inputs;
    const axis = CHANNEL_AXIS[node.op as WeightedOperator](node, constantOf(graph, weight)!.shape.length);
    // Only a convolution needs its output as integers; products of matrices can give floats.
    const output = node.op === 'Conv' ? outputOf(node) : undefined;
    weighted.push({ node, weight: weight!, bias: bias === '' ? undefined : bias, axis, output });
    nodes.add(node);
    take(input!);
    if (output !== undefined) take(output);
    else if (wanted.has(node.outputs[0]!)) offered.add(node.outputs[0]!);
  }

  function addPassing(node: OnnxNode): void {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (!isReady(input!) || !wanted.has(output!) || node.outputs.length > 1) return;
    take(input!);
    values.set(output!, values.get(input!)!);
    nodes.add(node);
  }

  function addReached(node: OnnxNode): void {
    const inputs = CUTTING.has(node.op) ? node.inputs.slice(0, 1) : node.inputs;
    const fixed = inputs.filter((name) => isFloatConstant(graph, name));
    const flowing = inputs.filter((name) => !fixed.includes(name));
    if (flowing.length === 0 || !flowing.every(isReady) || !wanted.has(node.outputs[0]!)) return;
    // A cut after a product of matrices is its end, as after a convolution.
    const maker = index.makerOf(flowing[0]!);
    if (CUTTING.has(node.op) && maker !== undefined && !values.has(flowing[0]!) && index.onlyTaker(flowing[0]!) === node) {
      absorbed.set(node, maker);
      take(node.outputs[0]!);
    } else {
      for (const name of flowing) take(name);
      for (const name of fixed) constants.add(name);
      take(outputOf(node));
    }
    nodes.add(node);
  }

  for (const node of graph.nodes) {
    if (node.domain !== '' || nodes.has(node)) continue;
    if (isWeighted(node)) addWeighted(node);
    else if (isAsked(node)) problems.push(`${node.op}: ${reasonAgainst(node)}`);
    else if (PASSING.has(node.op)) addPassing(node);
    else if (REACHED.has(node.op)) addReached(node);
  }
  return { weighted, nodes, absorbed, values, constants, unchanged: countProblems(problems) };
}
