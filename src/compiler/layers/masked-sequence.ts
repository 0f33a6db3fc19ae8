import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { int64, int64s } from '../graph/tensors.ts';

/*
 * ONNX's recurrent operators know sequences of different lengths, but no gaps. A step that is masked leaves the states as
 * they are, so a sequence gives the same as one of its other steps alone: these are moved to the front, and their
 * number is the length. Afterwards each masked step takes the state of the step before it.
 */

export interface Gathered {
  /** [batch, time, features], with the steps that count in front. */
  readonly value: Value;
  /** How many count: INT32, [batch]. */
  readonly lengths: Value;
  /** Puts the states [batch, time, units] of the steps back to where the steps were. */
  spread(states: Value, reverse: boolean, first: Value | undefined): Value;
}

/** @param x [batch, time, features] @param mask BOOL, [batch, time] */
export function gatherSteps(graph: GraphBuilder, x: Value, mask: Value): Gathered {
  const axis = (index: number): Value => graph.constant(int64s([index]));
  const one = graph.constant(int64(1));
  const counted = graph.add('Cast', [mask], { to: 'INT64' });
  const upTo = graph.add('CumSum', [counted, graph.constant(int64(1))]);
  const count = graph.add('ReduceSum', [counted, axis(1)]);

  // Sorted by place, the masked ones behind all others.
  const time = graph.add('Gather', [graph.add('Shape', [mask]), graph.constant(int64(1))]);
  const places = graph.add('Range', [graph.constant(int64(0)), time, one]);
  const behind = graph.add('Mul', [graph.add('Sub', [one, counted]), time]);
  const k = graph.add('Unsqueeze', [time, axis(0)]);
  const [sorted] = graph.addAll('TopK', [graph.add('Add', [places, behind]), k], { axis: 1, largest: 0 });
  const sources = graph.add('Mod', [sorted, time]);
  const pick = (values: Value, indices: Value): Value =>
    graph.add('GatherND', [values, graph.add('Unsqueeze', [indices, axis(2)])], { batch_dims: 1 });

  return {
    value: pick(x, sources),
    lengths: graph.add('Cast', [graph.add('Squeeze', [count, axis(1)])], { to: 'INT32' }),
    spread(states, reverse, first) {
      // Forward, a masked step has the state of the last one that counts before it; backward, of the next one after it.
      const index = reverse ? graph.add('Sub', [upTo, counted]) : graph.add('Sub', [upTo, one]);
      const none = reverse ? graph.add('GreaterOrEqual', [index, count]) : graph.add('Less', [index, graph.constant(int64(0))]);
      const found = pick(states, graph.add('Where', [none, graph.constant(int64(0)), index]));
      const missing = graph.add('Unsqueeze', [none, axis(2)]);
      const initial =
        first === undefined
          ? graph.constant({ dtype: 'FP32', shape: [], data: Float32Array.of(0) })
          : graph.add('Unsqueeze', [first, axis(1)]);
      return graph.add('Where', [missing, initial, found]);
    },
  };
}
