import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall } from '../lowering/layer-call.ts';
import { inOwnOrder } from '../lowering/layer-tensor.ts';
import { activated } from './activations.ts';
import { activationsOf, type Cell, cellActivation } from './recurrent-cells.ts';
import { CELLS } from './recurrent-weights.ts';

/*
 * A cell as plain operators, step after step, for graphs that are differentiated. The products of all steps' inputs are
 * one product before the first step; a step adds the product of the state.
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

/** The gates stand side by side, so that each activation is one node; Keras has them in the order input, forget, cell, output. */
function lstm(own: CellCall): Parts {
  const { call, weight, activation, gate, split } = own;
  const { graph } = call;
  const gatesFirst = (value: Value): Value => {
    const [inputs, candidate, output] = split(value, [2, 1, 1]);
    return graph.add('Concat', [inputs, output, candidate], { axis: -1 });
  };
  const recurrent = gatesFirst(weight('recurrent_kernel'));
  const bias = biasOf(own);
  return {
    kernel: gatesFirst(weight('kernel')),
    recurrent,
    bias: bias && gatesFirst(bias),
    step(x, [state, carry]) {
      const [gates, candidate] = split(graph.add('Gemm', [state, recurrent, x]), [3, 1]);
      const [input, forget, output] = split(gate(gates!), [1, 1, 1]);
      const next = graph.add('Add', [graph.add('Mul', [forget, carry]), graph.add('Mul', [input, activation(candidate!)])]);
      return [graph.add('Mul', [output, activation(next)]), next];
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

export interface UnrolledOptions {
  /** [time, batch, features]. */
  readonly x: Value;
  /** BOOL, [batch, time]: a step that is masked leaves the states as they are. */
  readonly mask: Value | undefined;
  /** The first states, each [batch, units]; none for zeros. */
  readonly first: readonly Value[];
  readonly reverse: boolean;
}

/** Runs a cell over a sequence of a known length. @returns the outputs [time, batch, units] in the order of time, and the last states. */
export function unrolledCell(
  call: LayerCall,
  cell: Cell,
  { x, mask, first, reverse }: UnrolledOptions,
): { readonly sequence: Value; readonly states: readonly Value[] } {
  const { graph } = call;
  const [time, , features] = x.shape;
  if (typeof time !== 'number' || typeof features !== 'number')
    return call.fail('the number of its steps must be known where it is trained in one graph; the engine tfjs trains it as it is');
  const units = cell.config.number('units');
  const { kernel, bias, step } = partsOf(call, cell);
  const rows = graph.add('Reshape', [x, graph.constant(int64s([-1, features]))]);
  const products = graph.addAll('Split', [graph.add('Gemm', [rows, kernel, bias])], { axis: 0, num_outputs: time });
  const masks = mask && graph.addAll('Split', [mask], { axis: 1, num_outputs: time });
  const zeros = (): Value => {
    const batch = graph.add('Slice', [graph.add('Shape', [products[0]]), ...[0, 1].map((at) => graph.constant(int64s([at])))]);
    return graph.add('ConstantOfShape', [graph.add('Concat', [batch, graph.constant(int64s([units]))], { axis: 0 })]);
  };
  let states: readonly Value[] = first;
  if (first.length === 0) states = Array.from({ length: CELLS[cell.name].states }, zeros);
  const outputs: Value[] = [];
  for (let count = 0; count < time; count += 1) {
    const at = reverse ? time - 1 - count : count;
    const before = states;
    states = step(products[at]!, before);
    if (masks !== undefined) states = states.map((state, index) => graph.add('Where', [masks[at], state, before[index]]));
    outputs[at] = states[0]!;
  }
  const all = outputs.length === 1 ? outputs[0] : graph.add('Concat', outputs, { axis: 0 });
  return { sequence: graph.add('Reshape', [all, graph.constant(int64s([time, -1, units]))]), states };
}
