import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';

/** Start, end, axis and step of a slice that takes the first axis from its end to its start. */
const BACKWARDS = [-1, -(2 ** 31 - 1), 0, -1];

/** A sequence [time, …] from its end to its start. What was turned around just before is taken as it was. */
export function reversedInTime(graph: GraphBuilder, sequence: Value): Value {
  const numbers = BACKWARDS.map((number) => graph.constant(int64s([number])));
  const made = graph.producerOf(sequence);
  // Constants of one content are one value.
  if (made?.op === 'Slice' && numbers.every((number, index) => made.inputs[index + 1] === number)) return made.inputs[0]!;
  return graph.add('Slice', [sequence, ...numbers]);
}
