import { invalidModel } from './invalid-model.ts';
import { type OnnxGraph, type OnnxNode, graphsOf, takenBy } from './model.ts';

/** A node in words. */
function describeNode({ op, name, outputs }: OnnxNode): string {
  return `${op} "${name || (outputs.find((output) => output !== '') ?? '')}"`;
}

/** Most nodes of a cycle that an error names. */
const NAMED = 5;

function cycleFrom(start: OnnxNode, waitsFor: (node: OnnxNode) => OnnxNode | undefined): string {
  const seen = new Set<OnnxNode>();
  let at: OnnxNode | undefined = start;
  for (; at !== undefined && !seen.has(at); at = waitsFor(at)) seen.add(at);
  // What was walked before the cycle was reached is no part of it.
  const cycle = [...seen].slice(at === undefined ? 0 : [...seen].indexOf(at)).toReversed();
  const named = cycle.slice(0, NAMED).map(describeNode);
  if (cycle.length > NAMED) named.push(`${cycle.length - NAMED} more`);
  return `${named.join(' → ')} → ${describeNode(cycle[0]!)}`;
}

function ordered({ nodes }: OnnxGraph): OnnxNode[] {
  const makers = new Map<string, OnnxNode>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (makers.has(name)) throw invalidModel(`has two nodes that make the value "${name}"`);
      makers.set(name, node);
    }
  }
  const takers = new Map<OnnxNode, OnnxNode[]>();
  const waiting = new Map<OnnxNode, number>();
  for (const node of nodes) {
    const before = new Set(takenBy(node).flatMap((name) => makers.get(name) ?? []));
    waiting.set(node, before.size);
    for (const maker of before) {
      const known = takers.get(maker);
      if (known === undefined) takers.set(maker, [node]);
      else known.push(node);
    }
  }
  // Nodes that are in order already, as they must be by the specification, stay as they are.
  const order = nodes.filter((node) => waiting.get(node) === 0);
  for (let at = 0; at < order.length; at += 1) {
    for (const taker of takers.get(order[at]!) ?? []) {
      const left = waiting.get(taker)! - 1;
      waiting.set(taker, left);
      if (left === 0) order.push(taker);
    }
  }
  if (order.length < nodes.length) {
    const done = new Set(order);
    const stuck = nodes.find((node) => !done.has(node))!;
    const cycle = cycleFrom(stuck, (node) =>
      takenBy(node)
        .map((name) => makers.get(name)!)
        .find((maker) => maker !== undefined && !done.has(maker)),
    );
    throw invalidModel(`has nodes that wait for each other: ${cycle}`);
  }
  return order;
}

function isOrdered({ nodes }: OnnxGraph): boolean {
  const madeLater = new Set(nodes.flatMap(({ outputs }) => outputs));
  for (const node of nodes) {
    if (takenBy(node).some((name) => madeLater.has(name))) return false;
    for (const name of node.outputs) madeLater.delete(name);
  }
  return true;
}

/**
 * Puts the nodes of every graph of a model into an order in which they can be computed.
 * @throws SlipwayError INVALID_MODEL when nodes wait for each other, or two make the same value.
 */
export function orderNodes(graph: OnnxGraph): void {
  for (const each of graphsOf(graph)) {
    const distinct = new Set(each.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== '')));
    const made = each.nodes.reduce((total, { outputs }) => total + outputs.filter((name) => name !== '').length, 0);
    if (distinct.size < made || !isOrdered(each)) each.nodes = ordered(each);
  }
}
