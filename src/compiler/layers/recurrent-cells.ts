import type { Value } from '../graph/graph.ts';
import type { LayerCall } from '../lowering/layer-call.ts';
import { type Config, createConfig, type Fields, isFields } from '../topology/config.ts';
import { activationKey } from './activations.ts';
import { type CellName, CELLS } from './recurrent-weights.ts';

/** ONNX's activation inside recurrent operators. */
export type CellActivation = readonly [name: string, alpha?: number, beta?: number];

const CELL_ACTIVATIONS: Readonly<Record<string, CellActivation>> = {
  tanh: ['Tanh'],
  sigmoid: ['Sigmoid'],
  relu: ['Relu'],
  hardsigmoid: ['HardSigmoid', 0.2, 0.5],
  softsign: ['Softsign'],
  softplus: ['Softplus'],
  elu: ['Elu', 1],
  linear: ['Affine', 1, 0],
};

/** One cell of a layer, or of the stack of cells that a layer has. */
export interface Cell {
  readonly name: CellName;
  readonly config: Config;
  /** What stands before the names of its weights: a slash at its end, or nothing. */
  readonly prefix: string;
}

interface CellActivations {
  /** Of the gates; a SimpleRNN has none. */
  readonly gates: string | undefined;
  /** Of the state that a step proposes, and of what an LSTM gives. */
  readonly state: string;
}

/** The names of a cell's activations, as Keras has them. */
export function activationsOf({ name, config }: Cell): CellActivations {
  const own = (key: string, otherwise: string): string => (config.fields[key] === null ? 'linear' : config.className(key, otherwise));
  if (name === 'SimpleRNN') return { gates: undefined, state: config.className('activation', 'tanh') };
  return { gates: own('recurrent_activation', 'hard_sigmoid'), state: own('activation', 'tanh') };
}

/** @throws SlipwayError COMPILE_FAILED for an activation that ONNX's recurrent operators do not have */
export function cellActivation(call: LayerCall, activation: string): CellActivation {
  const known = CELL_ACTIVATIONS[activationKey(activation)];
  if (known !== undefined) return known;
  return call.fail(
    `the activation "${activation}" cannot be compiled in a recurrent layer; use one of ${Object.keys(CELL_ACTIVATIONS).join(', ')}`,
  );
}

/** Refuses to train what a training step leaves out. */
export function checkDropsNothing(call: LayerCall, { fields }: Config): void {
  for (const key of ['dropout', 'recurrent_dropout']) {
    if ((fields[key] ?? 0) !== 0)
      call.fail(`drops inputs at random ("${key}"), which is not known in a training step in one graph; the engine tfjs trains it`);
  }
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
export function cellsOf(call: LayerCall): readonly Cell[] {
  if (Object.hasOwn(CELLS, call.className)) return [{ name: call.className as CellName, config: call.config, prefix: '' }];
  const cell = call.config.fields['cell'];
  const config: Fields = isFields(cell) && isFields(cell['config']) ? cell['config'] : {};
  const { cells } = config;
  if (!isFields(cell) || cell['class_name'] !== 'StackedRNNCells') return [cellOf(call, cell, '')];
  if (!Array.isArray(cells) || cells.length === 0) return call.fail('its stack has no list of cells');
  return cells.map((each, index) => cellOf(call, each, `RNNCell_${index}/`));
}

/** The first states of each cell. tfjs lists those of the last cell first. */
export function firstStates(call: LayerCall, cells: readonly Cell[]): readonly (readonly Value[])[] {
  const given = call.inputs.slice(1).map((tensor) => call.arrange.plain(tensor));
  if (given.length === 0) return cells.map(() => []);
  if (cells.length > 1) return call.fail('first states of several cells cannot be compiled; use a layer for each cell');
  const expected = CELLS[cells[0]!.name].states;
  if (given.length !== expected) return call.fail(`takes ${expected} first states, not ${given.length}`);
  return [given];
}
