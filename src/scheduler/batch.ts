import { concatTensors } from '../tensor/concat.ts';
import type { Signature, TensorSpec } from '../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';

/** One request as the runner gets it. */
export interface Work {
  readonly inputs: NamedTensors;
  /** Names of the wanted outputs, in order. */
  readonly outputs: readonly string[];
  /** The common first dimension of its inputs; 0 when it has none, so that the request goes alone. */
  readonly rows: number;
}

function isOpen({ shape }: TensorSpec): boolean {
  return shape !== null && shape[0] === -1;
}

/**
 * Why requests of a model can't be put together, from what its signature says; undefined when they can. Whether the rows
 * of its outputs belong to those of its inputs, and to no others, only running it tells.
 */
export function unbatchableReason({ inputs, outputs }: Signature): string | undefined {
  const closed = inputs.find((spec) => !isOpen(spec));
  if (closed !== undefined) return `the first dimension of its input "${closed.name}" is not open`;
  const fixed = outputs.find((spec) => !isOpen(spec));
  if (fixed !== undefined) return `the first dimension of its output "${fixed.name}" is not open`;
  if (inputs.length === 0) return 'it has no inputs';
  return undefined;
}

/** The rows of a request as `Work` has them. */
export function rowsOf(inputs: NamedTensors): number {
  let rows: number | undefined;
  for (const { shape } of inputs.values()) {
    rows ??= shape[0];
    if (rows !== shape[0]) return 0;
  }
  return rows ?? 0;
}

function sameRest(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 1; axis < a.length; axis += 1) if (a[axis] !== b[axis]) return false;
  return true;
}

/** Whether two requests can share a batch: the same outputs, and inputs that differ in their first dimension only. */
export function fitTogether(a: Work, b: Work): boolean {
  if (a.outputs.length !== b.outputs.length) return false;
  for (let index = 0; index < a.outputs.length; index += 1) if (a.outputs[index] !== b.outputs[index]) return false;
  for (const [name, tensor] of a.inputs) {
    const other = b.inputs.get(name);
    if (other === undefined || other.dtype !== tensor.dtype || !sameRest(tensor.shape, other.shape)) return false;
  }
  return true;
}

/** The inputs of several requests behind one another. They must fit together. */
export function joinInputs(batch: readonly Work[]): NamedTensors {
  const [first] = batch;
  if (batch.length === 1) return first!.inputs;
  const joined = new Map<string, Tensor>();
  for (const name of first!.inputs.keys()) {
    joined.set(
      name,
      concatTensors(
        batch.map(({ inputs }) => inputs.get(name)!),
        `inputs.${name}`,
      ),
    );
  }
  return joined;
}

function sliceRows({ dtype, shape, data }: Tensor, start: number, end: number): Tensor {
  const [rows = 0, ...rest] = shape;
  const size = rows === 0 ? 0 : data.length / rows;
  const [from, to] = [start * size, end * size];
  return { dtype, shape: [end - start, ...rest], data: ArrayBuffer.isView(data) ? data.subarray(from, to) : data.slice(from, to) };
}

/**
 * The outputs of each request of a batch; views of the batch's memory.
 * @returns the name of an output whose first dimension is not that of the batch, instead.
 */
export function splitOutputs(outputs: NamedTensors, batch: readonly Work[]): NamedTensors[] | string {
  let total = 0;
  for (const { rows } of batch) total += rows;
  for (const [name, { shape }] of outputs) if (shape[0] !== total) return name;
  let start = 0;
  return batch.map(({ rows }) => {
    const own = new Map<string, Tensor>();
    for (const [name, tensor] of outputs) own.set(name, sliceRows(tensor, start, start + rows));
    start += rows;
    return own;
  });
}
