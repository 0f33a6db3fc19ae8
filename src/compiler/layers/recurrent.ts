import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { type LayerTensor, plain } from '../lowering/layer-tensor.ts';
import { gatherSteps } from './masked-sequence.ts';
import { reversedInTime } from './reversed.ts';
import { activationsOf, type Cell, cellActivation, cellsOf, checkDropsNothing, firstStates } from './recurrent-cells.ts';
import { CELLS, gateBiases, gateBiasesInGraph, gatesFirst, gatesFirstInGraph } from './recurrent-weights.ts';
import { scannedCell } from './scanned.ts';

/** [time, batch, features], as ONNX wants sequences. */
const TIME_FIRST = [1, 0, 2];

interface Run {
  /** [time, batch, units], in the order of time. */
  readonly sequence: Value;
  /** The last states, each [batch, units]. */
  readonly states: readonly Value[];
}

function operatorActivations(call: LayerCall, cell: Cell) {
  const { gates, state } = activationsOf(cell);
  const names = [...(gates === undefined ? [] : [gates]), ...Array.from({ length: cell.name === 'LSTM' ? 2 : 1 }, () => state)];
  const all = names.map((name) => cellActivation(call, name));
  // The numbers are listed one after the other, for those activations that have them.
  const numbers = (at: 1 | 2): number[] => all.map((each) => each[at]).filter((number) => number !== undefined);
  return {
    activations: all.map(([activation]) => activation),
    ...(numbers(1).length > 0 && { activation_alpha: numbers(1) }),
    ...(numbers(2).length > 0 && { activation_beta: numbers(2) }),
  };
}

/** ONNX Runtime ends a sequence of no steps with zeros, whatever its first states. */
function unlessEmpty({ graph }: LayerCall, ended: readonly Value[], lengths: Value, first: readonly Value[]): readonly Value[] {
  if (first.length === 0) return ended;
  const none = graph.add('Equal', [lengths, graph.constant({ dtype: 'INT32', shape: [], data: Int32Array.of(0) })]);
  const empty = graph.add('Unsqueeze', [none, graph.constant(int64s([1]))]);
  return ended.map((state, index) => graph.add('Where', [empty, first[index], state]));
}

/** Runs a cell over a sequence [time, batch, features]. */
function runCell(call: LayerCall, cell: Cell, x: Value, lengths: Value | undefined, first: readonly Value[], reverse: boolean): Run {
  const { graph } = call;
  const { op, gates } = CELLS[cell.name];
  const name = (weight: string): string => `${cell.prefix}${weight}`;
  const units = cell.config.number('units');
  const resetAfter = cell.name === 'GRU' && cell.config.boolean('reset_after', false);
  const known = call.mode === 'serving';
  const weights = ['kernel', 'recurrent_kernel'].map((weight) =>
    known
      ? call.derived(name(weight), () => gatesFirst(call.tensor(name(weight)), gates))
      : gatesFirstInGraph(graph, call.weight(name(weight)), gates),
  );
  let biases: Value | undefined;
  if (cell.config.boolean('use_bias', true)) {
    biases = known
      ? call.derived(name('bias'), () => gateBiases(call.tensor(name('bias')), gates))
      : gateBiasesInGraph(graph, call.weight(name('bias')), gates);
  }
  const axis = (index: number): Value => graph.constant(int64s([index]));
  const states = first.map((state) => graph.add('Unsqueeze', [state, axis(0)]));
  const [sequence, ...last] = graph.addAll(op, [x, ...weights, biases, lengths, ...states], {
    hidden_size: units,
    direction: reverse ? 'reverse' : 'forward',
    ...operatorActivations(call, cell),
    ...(resetAfter && { linear_before_reset: 1 }),
  });
  const ended = last.map((state) => graph.add('Squeeze', [state, axis(0)]));
  return {
    sequence: graph.add('Squeeze', [sequence, axis(1)]),
    states: lengths === undefined ? ended : unlessEmpty(call, ended, lengths, first),
  };
}

/** What a layer gives by its cells: its output [time, batch, units] and the last states of each cell. */
interface Result {
  readonly sequence: () => Value;
  readonly states: readonly (readonly Value[])[];
}

/** By ONNX's operators, which ONNX Runtime computes fast and which have no derivative. */
function fused(call: LayerCall, cells: readonly Cell[], first: readonly (readonly Value[])[], reverse: boolean): Result {
  const { graph } = call;
  const mask = call.mask();
  const steps = mask && gatherSteps(graph, call.arrange.plain(call.input), mask);
  let x = steps ? graph.add('Transpose', [steps.value], { perm: TIME_FIRST }) : call.arrange.ordered(call.input, TIME_FIRST);
  const states = cells.map((cell, index) => {
    const run = runCell(call, cell, x, steps?.lengths, first[index]!, reverse);
    x = run.sequence;
    return run.states;
  });
  const sequence = (): Value => {
    if (steps === undefined) return x;
    const spread = steps.spread(graph.add('Transpose', [x], { perm: TIME_FIRST }), reverse, first.at(-1)![0]);
    return graph.add('Transpose', [spread], { perm: TIME_FIRST });
  };
  return { sequence, states };
}

/** Refuses what the steps of a cell leave out. */
function checkTrained(call: LayerCall, cells: readonly Cell[]): void {
  for (const { config } of cells) {
    checkDropsNothing(call, config);
    if (config === call.config) continue;
    for (const [key, value] of Object.entries(config.fields))
      if (key.endsWith('_regularizer') && value !== null)
        call.fail(`its cell adds a penalty to the loss ("${key}"), which is not known in a training step in one graph`);
  }
}

/** By a Scan of plain operators. */
function scanned(call: LayerCall, cells: readonly Cell[], first: readonly (readonly Value[])[], reverse: boolean): Result {
  checkTrained(call, cells);
  const mask = call.mask();
  let x = call.arrange.ordered(call.input, TIME_FIRST);
  const states = cells.map((cell, index) => {
    const run = scannedCell(call, cell, { x, mask, first: first[index]!, reverse });
    x = run.sequence;
    return run.states;
  });
  return { sequence: () => x, states };
}

const recurrent: LowerLayer = (call) => {
  const { graph, config } = call;
  if (config.boolean('stateful', false))
    call.fail('it keeps states from one request to the next, which a graph cannot; set "stateful" to false');
  const cells = cellsOf(call);
  const reverse = config.boolean('go_backwards', false);
  const { sequence, states } = (call.mode === 'training' ? scanned : fused)(call, cells, firstStates(call, cells), reverse);
  let output: LayerTensor = plain(states.at(-1)![0]!);
  if (config.boolean('return_sequences', false)) {
    const steps = sequence();
    // Keras gives the states in the order in which they came.
    output = { value: reverse ? reversedInTime(graph, steps) : steps, order: TIME_FIRST, mask: call.input.mask };
  }
  if (!config.boolean('return_state', false)) return output;
  return [
    output,
    ...states
      .toReversed()
      .flat()
      .map((state) => plain(state)),
  ];
};

export const RECURRENT_LAYERS: Readonly<Record<string, LowerLayer>> = {
  SimpleRNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  RNN: recurrent,
};
