import { SlipwayError } from '../../errors/slipway-error.ts';
import { type Graph, type GraphOutput, type Node, usedBy, type Value } from './graph.ts';
import { type OperatorName, OPERATORS } from './operators/operators.ts';
import type { Operator } from './operator.ts';

/** A Scan without the sequences that nobody takes, and its body without what gives them. */
function scanWithUsedOutputs(node: Node, body: Graph, used: ReadonlySet<Value | undefined>): Node {
  const states = node.inputs.length - (node.attributes['num_scan_inputs'] as number);
  const isKept = (_output: unknown, index: number): boolean => index < states || used.has(node.outputs[index]);
  const directions = node.attributes['scan_output_directions'] as readonly number[] | undefined;
  const needed = neededBy(body.nodes, body.outputs.filter(isKept));
  return {
    ...node,
    outputs: node.outputs.filter(isKept),
    attributes: {
      ...node.attributes,
      body: { ...body, nodes: needed.nodes, outputs: needed.outputs },
      ...(directions && { scan_output_directions: directions.filter((direction, index) => isKept(direction, states + index)) }),
    },
  };
}

/** A node with only those outputs that somebody takes, as far as its operator lets others go; undefined when that is none. */
function withUsedOutputs(node: Node, used: ReadonlySet<Value | undefined>): Node | undefined {
  if (!node.outputs.some((value) => used.has(value))) return undefined;
  const body = node.attributes['body'];
  if (typeof body === 'object' && 'nodes' in body) return scanWithUsedOutputs(node, body, used);
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

/** Outputs with the nodes that they need, and all values that are used. */
function neededBy(all: readonly Node[], outputs: readonly GraphOutput[]): Pick<Graph, 'nodes' | 'outputs'> & { used: ReadonlySet<Value> } {
  const used = new Set<Value>(outputs.map(({ value }) => value));
  const nodes: Node[] = [];
  for (const node of all.toReversed()) {
    const needed = withUsedOutputs(node, used);
    if (needed === undefined) continue;
    nodes.push(needed);
    for (const value of usedBy(needed)) used.add(value);
  }
  return { nodes: nodes.toReversed(), outputs, used };
}

/** The graph without the nodes, outputs and initializers that its outputs do not need. */
export function finishGraph(graph: Graph, nameOf: (wanted: string) => string): Graph {
  const separate = separateOutputs(graph, nameOf);
  const { nodes, outputs, used } = neededBy([...graph.nodes, ...separate.copies], separate.outputs);
  return {
    name: graph.name,
    inputs: graph.inputs,
    outputs,
    nodes,
    initializers: new Map([...graph.initializers].filter(([value]) => used.has(value))),
  };
}
