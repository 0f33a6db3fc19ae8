import { type OnnxGraph, type OnnxNode, takenBy } from './model.ts';

/** Who makes and who takes each value of a graph. It follows no changes: after a rewrite, make another. */
export interface GraphIndex {
  makerOf(name: string): OnnxNode | undefined;
  /** Nodes that take the value, by themselves or in a graph of an attribute; each once. */
  takersOf(name: string): readonly OnnxNode[];
  isOutput(name: string): boolean;
  /** The one node that takes the value, where there is one and the value is no output of the graph. */
  onlyTaker(name: string): OnnxNode | undefined;
}

export function indexGraph(graph: OnnxGraph): GraphIndex {
  const makers = new Map<string, OnnxNode>();
  const takers = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name !== '') makers.set(name, node);
    for (const name of new Set(takenBy(node))) {
      const known = takers.get(name);
      if (known === undefined) takers.set(name, [node]);
      else known.push(node);
    }
  }
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const takersOf = (name: string): readonly OnnxNode[] => takers.get(name) ?? [];
  return {
    makerOf: (name) => makers.get(name),
    takersOf,
    isOutput: (name) => outputs.has(name),
    onlyTaker(name) {
      const [taker, ...others] = takersOf(name);
      return others.length > 0 || outputs.has(name) ? undefined : taker;
    },
  };
}

/** Gives names that no value of the graph, or of one inside it, has yet. */
export function freshNames(graph: OnnxGraph): (wanted: string) => string {
  const taken = new Set<string>();
  const add = (each: OnnxGraph): void => {
    for (const { name } of [...each.inputs, ...each.outputs]) taken.add(name);
    for (const name of each.initializers.keys()) taken.add(name);
    for (const node of each.nodes) {
      for (const name of [...node.inputs, ...node.outputs]) taken.add(name);
      for (const attribute of node.attributes.values()) if (attribute.kind === 'graph') add(attribute.value);
    }
  };
  add(graph);
  return (wanted) => {
    let name = wanted;
    for (let suffix = 1; taken.has(name); suffix += 1) name = `${wanted}_${suffix}`;
    taken.add(name);
    return name;
  };
}

/** Takes away initializers that nothing takes any more, and what the file says of values that are gone. */
export function removeUnused(graph: OnnxGraph): void {
  const taken = new Set([...graph.nodes.flatMap(takenBy), ...graph.outputs.map(({ name }) => name)]);
  for (const name of graph.initializers.keys()) if (!taken.has(name)) graph.initializers.delete(name);
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  graph.values = graph.values.filter(({ name }) => made.has(name));
}
