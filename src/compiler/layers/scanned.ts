import type { Value } from '../graph/graph.ts';
import { float, int64s } from '../graph/tensors.ts';
import type { LayerCall } from '../lowering/layer-call.ts';
import { inOwnOrder } from '../lowering/layer-tensor.ts';
import { activated } from './activations.ts';
import { activationsOf, type Cell, cellActivation } from './recurrent-cells.ts';
import { CELLS } from './recurrent-weights.ts';

/*
 * A cell as plain operators that a Scan computes step after step, for graphs that are differentiated. A step multiplies its
 * input by itself: what one product before the first step gives for all of them is too large for a cache to hold.
 */

/** A cell in a graph: its weights as they are there, and what its steps have in common. */
interface Parts {
  readonly kernel: Value;
  readonly recurrent: Value;
  readonly bias: Value | undefined;
  /** @param x the products of the step's input, [batch, gates · units]. @returns the next states; the first is the output. */
  readonly step: (x: Value, states: readonly Value[]) => readonly Value[];
}

interface CellCall {
  readonly call: LayerCall;
  readonly cell: Cell;
  readonly units: number;
  readonly weight: (name: string) => Value;
  readonly activation: (x: Value) => Value;
  readonly gate: (x: Value) => Value;
  /** Columns of a matrix, or elements of a vector, by the numbers of units in each part. */
  readonly split: (x: Value, parts: readonly number[]) => readonly Value[];
}

function biasOf({ cell, weight }: CellCall): Value | undefined {
  return cell.config.boolean('use_bias', true) ? weight('bias') : undefined;
}

function simple(own: CellCall): Parts {
  const { call, weight, activation } = own;
  const recurrent = weight('recurrent_kernel');
  return {
    kernel: weight('kernel'),
    recurrent,
    bias: biasOf(own),
    step: (x, [state]) => [activation(call.graph.add('Gemm', [state, recurrent, x]))],
  };
}

/** Keras' order of gates: input, forget, candidate, output. */
function lstm(own: CellCall): Parts {
  const { call, weight, activation, gate, split } = own;
  const { graph } = call;
  const recurrent = weight('recurrent_kernel');
  return {
    kernel: weight('kernel'),
    recurrent,
    bias: biasOf(own),
    step(x, [state, carry]) {
      const [ofInput, ofForget, ofCandidate, ofOutput] = split(graph.add('Gemm', [state, recurrent, x]), [1, 1, 1, 1]);
      const kept = graph.add('Mul', [gate(ofForget!), carry]);
      const next = graph.add('Add', [kept, graph.add('Mul', [gate(ofInput!), activation(ofCandidate!)])]);
      return [graph.add('Mul', [gate(ofOutput!), activation(next)]), next];
    },
  };
}

/** Keras' order of gates: update, reset, candidate. */
function gru(own: CellCall): Parts {
  const { call, cell, weight, activation, gate, split, units } = own;
  const { graph } = call;
  const recurrent = weight('recurrent_kernel');
  const resetAfter = cell.config.boolean('reset_after', false);
  const both = biasOf(own);
  const row = (value: Value, index: number): Value =>
    graph.add('Slice', [value, ...[[index], [index + 1], [0]].map((numbers) => graph.constant(int64s(numbers)))]);
  const between = (update: Value, state: Value, candidate: Value): Value =>
    // update · state + (1 − update) · candidate
    graph.add('Add', [candidate, graph.add('Mul', [update, graph.add('Sub', [state, candidate])])]);
  if (resetAfter) {
    const bias = both && graph.add('Reshape', [row(both, 0), graph.constant(int64s([3 * units]))]);
    const recurrentBias = both && row(both, 1);
    return {
      kernel: weight('kernel'),
      recurrent,
      bias,
      step(x, [state]) {
        const [gatesOfX, ofX] = split(x, [2, 1]);
        const [gatesOfState, ofState] = split(graph.add('Gemm', [state, recurrent, recurrentBias]), [2, 1]);
        const [update, reset] = split(gate(graph.add('Add', [gatesOfX, gatesOfState])), [1, 1]);
        const candidate = activation(graph.add('Add', [ofX, graph.add('Mul', [reset, ofState])]));
        return [between(update!, state!, candidate)];
      },
    };
  }
  const [ofGates, ofCandidate] = split(recurrent, [2, 1]);
  return {
    kernel: weight('kernel'),
    recurrent,
    bias: both,
    step(x, [state]) {
      const [gatesOfX, ofX] = split(x, [2, 1]);
      const [update, reset] = split(gate(graph.add('Gemm', [state, ofGates, gatesOfX])), [1, 1]);
      const candidate = activation(graph.add('Gemm', [graph.add('Mul', [reset, state]), ofCandidate, ofX]));
      return [between(update!, state!, candidate)];
    },
  };
}

const PARTS = { SimpleRNN: simple, LSTM: lstm, GRU: gru } as const;

function partsOf(call: LayerCall, cell: Cell): Parts {
  const { graph } = call;
  const units = cell.config.number('units');
  const { gates, state } = activationsOf(cell);
  const activate = (name: string) => (value: Value) => {
    // The operators that serve the model later have no others.
    cellActivation(call, name);
    return activated(call, { value, order: inOwnOrder(value.shape.length) }, name).value;
  };
  return PARTS[cell.name]({
    call,
    cell,
    units,
    weight: (name) => call.weight(`${cell.prefix}${name}`),
    activation: activate(state),
    gate: activate(gates ?? 'linear'),
    split: (x, parts) => graph.addAll('Split', [x, graph.constant(int64s(parts.map((count) => count * units)))], { axis: -1 }),
  });
}

export interface ScannedOptions {
  /** [time, batch, features]. */
  readonly x: Value;
  /** BOOL, [batch, time]: a step that is masked leaves the states as they are. */
  readonly mask: Value | undefined;
  /** The first states, each [batch, units]; none for zeros. */
  readonly first: readonly Value[];
  readonly reverse: boolean;
}

/** The bias is a row of the kernel then, and meets a one at the end of each input. */
function withBias({ graph }: LayerCall, { x, kernel, bias }: { x: Value; kernel: Value; bias: Value | undefined }) {
  if (bias === undefined) return { x, kernel };
  const [behind, one, last] = [int64s([0, 1]), float(1), int64s([2])].map((tensor) => graph.constant(tensor));
  const row = graph.add('Unsqueeze', [bias, graph.constant(int64s([0]))]);
  return { x: graph.add('Pad', [x, behind, one, last]), kernel: graph.add('Concat', [kernel, row], { axis: 0 }) };
}

/** Runs a cell over a sequence. @returns the outputs [time, batch, units] in the order of time, and the last states. */
export function scannedCell(
  call: LayerCall,
  cell: Cell,
  { x, mask, first, reverse }: ScannedOptions,
): { readonly sequence: Value; readonly states: readonly Value[] } {
  const { graph } = call;
  const units = cell.config.number('units');
  const { kernel, bias, step } = partsOf(call, cell);
  const given = withBias(call, { x, kernel, bias });
  const axis = (index: number): Value => graph.constant(int64s([index]));
  const zeros = (): Value => {
    const batch = graph.add('Slice', [graph.add('Shape', [x]), axis(1), axis(2)]);
    return graph.add('ConstantOfShape', [graph.add('Concat', [batch, axis(units)], { axis: 0 })]);
  };
  const states = first.length > 0 ? first : Array.from({ length: CELLS[cell.name].states }, zeros);
  const sequences = [given.x];
  if (mask !== undefined) sequences.push(graph.add('Unsqueeze', [graph.add('Transpose', [mask], { perm: [1, 0] }), axis(2)]));
  const types = [...states, ...sequences.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }))];
  const body = graph.body(types, (values) => {
    const before = values.slice(0, states.length);
    const [input, counts] = values.slice(states.length);
    let next = step(graph.add('Gemm', [input, given.kernel]), before);
    if (counts !== undefined) next = next.map((state, index) => graph.add('Where', [counts, state, before[index]]));
    return [...next, next[0]!];
  });
  const direction = reverse ? 1 : 0;
  const results = graph.addAll('Scan', [...states, ...sequences], {
    body,
    num_scan_inputs: sequences.length,
    scan_input_directions: sequences.map(() => direction),
    scan_output_directions: [direction],
  });
  return { sequence: results.at(-1)!, states: results.slice(0, -1) };
}
