import { formatShape } from '../tensor/shape.ts';
import { sliceRows } from '../tensor/slice-rows.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

/** What of a model's signature matters to joining requests. */
export interface BatchShape {
  /** Why requests of this model can't be joined; undefined when its signature allows it. */
  readonly obstacle: string | undefined;
  /**
   * Rows of a request: the first dimension that its inputs have in common; 0 when they have none, and it runs alone.
   */
  rowsOf(inputs: NamedTensors): number;
  /** Requests with the same key can be joined: they ask for the same outputs, and their other dimensions are equal. */
  keyOf(inputs: NamedTensors, outputs: readonly string[]): string;
  /** How much a request is, in the unit of the cost line: rows, or input elements where other dimensions vary, too. */
  sizeOf(inputs: NamedTensors, rows: number): number;
  readonly unit: 'rows' | 'elements';
  readonly allOutputs: readonly string[];
}

function obstacleIn({ inputs, outputs }: Signature): string | undefined {
  if (inputs.length === 0) return 'the model has no inputs';
  for (const [kind, specs] of [
    ['input', inputs],
    ['output', outputs],
  ] as const) {
    for (const { name, shape } of specs) {
      // An output without a declared shape is judged by what comes.
      if (shape === null && kind === 'output') continue;
      if (shape?.[0] === -1) continue;
      return `the first dimension of the ${kind} "${name}" does not vary: its shape is ${formatShape(shape)}`;
    }
  }
  return undefined;
}

export function describeBatchShape(signature: Signature): BatchShape {
  const obstacle = obstacleIn(signature);
  const varying = signature.inputs.filter(({ shape }) => shape === null || shape.slice(1).includes(-1)).map(({ name }) => name);
  const allOutputs = signature.outputs.map(({ name }) => name);

  function rowsOf(inputs: NamedTensors): number {
    let rows = -1;
    for (const { shape } of inputs.values()) {
      const own = shape[0] ?? 0;
      if (rows === -1) rows = own;
      else if (rows !== own) return 0;
    }
    return rows === -1 ? 0 : rows;
  }

  return {
    obstacle,
    unit: varying.length === 0 ? 'rows' : 'elements',
    allOutputs,
    rowsOf,
    keyOf(inputs, outputs) {
      let key = outputs.length === allOutputs.length ? '' : outputs.map((name) => JSON.stringify(name)).join();
      for (const name of varying) key += `;${inputs.get(name)?.shape.slice(1).join('x')}`;
      return key;
    },
    sizeOf(inputs, rows) {
      if (varying.length === 0) return Math.max(1, rows);
      let elements = 0;
      for (const { data } of inputs.values()) elements += data.length;
      return Math.max(1, elements);
    },
  };
}

/** Why outputs can't be taken apart again into `rows` rows; undefined when they can. */
export function splitObstacle(outputs: NamedTensors, rows: number): string | undefined {
  for (const [name, { shape }] of outputs) {
    if (shape[0] === rows) continue;
    return `a batch of ${rows} gave the output "${name}" the shape ${formatShape(shape)}, whose first dimension is not the batch's`;
  }
  return undefined;
}

/** Takes the outputs of a batch apart. Call it only when there is no `splitObstacle`. The parts are views of the whole. */
export function splitOutputs(outputs: NamedTensors, rowsOfParts: readonly number[]): NamedTensors[] {
  let from = 0;
  return rowsOfParts.map((rows) => {
    const part = new Map<string, Tensor>();
    for (const [name, tensor] of outputs) part.set(name, sliceRows(tensor, from, from + rows));
    from += rows;
    return part;
  });
}
