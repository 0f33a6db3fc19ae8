import { SlipwayError } from '../../errors/slipway-error.ts';
import { type Graph, type GraphOutput, type Node, usedBy, type Value } from './graph.ts';
import { type OperatorName, OPERATORS } from './operators/operators.ts';
import type { Operator } from './operator.ts';

/** A node with only those outputs that somebody takes, as far as its operator lets others go; undefined when that is none. */
function withUsedOutputs(node: Node, used: ReadonlySet<Value | undefined>): Node | undefined {
  if (!node.outputs.some((value) => used.has(value))) return undefined;
  const operator: Operator = OPERATORS[node.op as OperatorName];
  if (operator.optionalOutputs !== true) return node;
  const outputs = node.outputs.map((value, index) => {
    const optional = index > 0 || operator.firstOutputOptional === true;
    return optional && !used.has(value) ? undefined : value;
  });
  return { ...node, outputs: outputs.slice(0, outputs.findLastIndex((value) => value !== undefined) + 1) };
}

/** Each output as the output of a node of its own: ONNX has no output that is an input, a weight or another output. */
function separateOutputs(graph: Graph, nameOf: (wanted: string) => string): { outputs: GraphOutput[]; copies: Node[] } {
  for (const { name } of graph.inputs) {
    if (graph.outputs.some((output) => output.name === name))
      throw new SlipwayError(
        'COMPILE_FAILED',
        `"${name}" is an input and an output; ONNX has one name for one tensor. Put a layer between.`,
      );
  }
  const free = new Set<Value | undefined>(graph.nodes.flatMap(({ outputs }) => outputs));
  const copies: Node[] = [];
  const outputs = graph.outputs.map((output) => {
    if (free.delete(output.value)) return output;
    const name = nameOf(`${output.name}/Identity`);
    const { dtype, shape } = output.value;
    const value = { name, dtype, shape };
    copies.push({ op: 'Identity', name, layer: '', inputs: [output.value], outputs: [value], attributes: {} });
    return { name: output.name, value };
  });
  return { outputs, copies };
}

/** The graph without the nodes, outputs and initializers that its outputs do not need. */
export function finishGraph(graph: Graph, nameOf: (wanted: string) => string): Graph {
  const { outputs, copies } = separateOutputs(graph, nameOf);
  const used = new Set<Value>(outputs.map(({ value }) => value));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes, ...copies].toReversed()) {
    const needed = withUsedOutputs(node, used);
    if (needed === undefined) continue;
    nodes.push(needed);
    for (const value of usedBy(needed)) used.add(value);
  }
  nodes.reverse();
  return {
    name: graph.name,
    inputs: graph.inputs,
    outputs,
    nodes,
    initializers: new Map([...graph.initializers].filter(([value]) => used.has(value))),
  };
}
