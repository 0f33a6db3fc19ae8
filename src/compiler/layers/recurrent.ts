import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { type LayerTensor, plain } from '../lowering/layer-tensor.ts';
import { type Config, createConfig, type Fields, isFields } from '../topology/config.ts';
import { activationKey } from './activations.ts';
import { gatherSteps } from './masked-sequence.ts';
import { reversedInTime } from './reversed.ts';
import { type CellName, CELLS, gateBiases, gatesFirst } from './recurrent-weights.ts';

/** ONNX's activations inside recurrent operators. */
const CELL_ACTIVATIONS: Readonly<Record<string, readonly [name: string, alpha?: number, beta?: number]>> = {
  tanh: ['Tanh'],
  sigmoid: ['Sigmoid'],
  relu: ['Relu'],
  hardsigmoid: ['HardSigmoid', 0.2, 0.5],
  softsign: ['Softsign'],
  softplus: ['Softplus'],
  elu: ['Elu', 1],
  linear: ['Affine', 1, 0],
};

/** [time, batch, features], as ONNX wants sequences. */
const TIME_FIRST = [1, 0, 2];

/** One cell of a layer, or of the stack of cells that a layer has. */
interface Cell {
  readonly name: CellName;
  readonly config: Config;
  /** What stands before the names of its weights: a slash at its end, or nothing. */
  readonly prefix: string;
}

interface Run {
  /** [time, batch, units], in the order of time. */
  readonly sequence: Value;
  /** The last states, each [batch, units]. */
  readonly states: readonly Value[];
}

function activationsOf(call: LayerCall, { name, config }: Cell) {
  const own = (key: string, otherwise: string): string => (config.fields[key] === null ? 'linear' : config.className(key, otherwise));
  const inner = name === 'SimpleRNN' ? config.className('activation', 'tanh') : own('activation', 'tanh');
  const gates = name === 'SimpleRNN' ? [] : [own('recurrent_activation', 'hard_sigmoid')];
  const all = [...gates, ...Array.from({ length: name === 'LSTM' ? 2 : 1 }, () => inner)].map(
    (activation) =>
      CELL_ACTIVATIONS[activationKey(activation)] ??
      call.fail(
        `the activation "${activation}" cannot be compiled in a recurrent layer; use one of ${Object.keys(CELL_ACTIVATIONS).join(', ')}`,
      ),
  );
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
  const weights = ['kernel', 'recurrent_kernel'].map((weight) =>
    call.derived(name(weight), () => gatesFirst(call.tensor(name(weight)), gates)),
  );
  const biases = cell.config.boolean('use_bias', true)
    ? call.derived(name('bias'), () => gateBiases(call.tensor(name('bias')), gates))
    : undefined;
  const axis = (index: number): Value => graph.constant(int64s([index]));
  const states = first.map((state) => graph.add('Unsqueeze', [state, axis(0)]));
  const [sequence, ...last] = graph.addAll(op, [x, ...weights, biases, lengths, ...states], {
    hidden_size: units,
    direction: reverse ? 'reverse' : 'forward',
    ...activationsOf(call, cell),
    ...(resetAfter && { linear_before_reset: 1 }),
  });
  const ended = last.map((state) => graph.add('Squeeze', [state, axis(0)]));
  return {
    sequence: graph.add('Squeeze', [sequence, axis(1)]),
    states: lengths === undefined ? ended : unlessEmpty(call, ended, lengths, first),
  };
}

const CLASS_SUFFIX = /Cell$/;

function cellOf(call: LayerCall, fields: unknown, prefix: string): Cell {
  const { class_name: className, config } = isFields(fields) ? fields : {};
  const name = typeof className === 'string' ? className.replace(CLASS_SUFFIX, '') : '';
  if (!Object.hasOwn(CELLS, name) || !isFields(config))
    return call.fail(`its cell "${String(className)}" cannot be compiled; use SimpleRNNCell, GRUCell or LSTMCell`);
  return { name: name as CellName, config: createConfig(name, config), prefix };
}

/** The cells of a layer, in the order in which a step goes through them. */
function cellsOf(call: LayerCall): readonly Cell[] {
  if (Object.hasOwn(CELLS, call.className)) return [{ name: call.className as CellName, config: call.config, prefix: '' }];
  const cell = call.config.fields['cell'];
  const config: Fields = isFields(cell) && isFields(cell['config']) ? cell['config'] : {};
  const { cells } = config;
  if (!isFields(cell) || cell['class_name'] !== 'StackedRNNCells') return [cellOf(call, cell, '')];
  if (!Array.isArray(cells) || cells.length === 0) return call.fail('its stack has no list of cells');
  return cells.map((each, index) => cellOf(call, each, `RNNCell_${index}/`));
}

/** The first states of each cell. tfjs lists those of the last cell first. */
function firstStates(call: LayerCall, cells: readonly Cell[]): readonly (readonly Value[])[] {
  const given = call.inputs.slice(1).map((tensor) => call.arrange.plain(tensor));
  if (given.length === 0) return cells.map(() => []);
  if (cells.length > 1) return call.fail('first states of several cells cannot be compiled; use a layer for each cell');
  const expected = CELLS[cells[0]!.name].states;
  if (given.length !== expected) return call.fail(`takes ${expected} first states, not ${given.length}`);
  return [given];
}

const recurrent: LowerLayer = (call) => {
  const { graph, config } = call;
  if (config.boolean('stateful', false))
    call.fail('it keeps states from one request to the next, which a graph cannot; set "stateful" to false');
  const cells = cellsOf(call);
  const first = firstStates(call, cells);
  const mask = call.mask();
  const reverse = config.boolean('go_backwards', false);
  const steps = mask && gatherSteps(graph, call.arrange.plain(call.input), mask);
  let x = steps ? graph.add('Transpose', [steps.value], { perm: TIME_FIRST }) : call.arrange.ordered(call.input, TIME_FIRST);
  const states: Value[][] = [];
  for (const [index, cell] of cells.entries()) {
    const run = runCell(call, cell, x, steps?.lengths, first[index]!, reverse);
    x = run.sequence;
    states.unshift([...run.states]);
  }
  const last = states[0]![0]!;
  let output: LayerTensor = plain(last);
  if (config.boolean('return_sequences', false)) {
    if (steps) {
      const spread = steps.spread(graph.add('Transpose', [x], { perm: TIME_FIRST }), reverse, first.at(-1)![0]);
      x = graph.add('Transpose', [spread], { perm: TIME_FIRST });
    }
    // Keras gives the states in the order in which they came.
    output = { value: reverse ? reversedInTime(graph, x) : x, order: TIME_FIRST, mask: call.input.mask };
  }
  return config.boolean('return_state', false) ? [output, ...states.flat().map((state) => plain(state))] : output;
};

export const RECURRENT_LAYERS: Readonly<Record<string, LowerLayer>> = {
  SimpleRNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  RNN: recurrent,
};
