import type { Examples, Split } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { bytesPerElement, type NumericData, STORAGE } from '../../../tensor/dtype.ts';
import type { Signature } from '../../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';
import { type ModelInput, modelInputs } from '../model-inputs.ts';

/** Rows in memory as a model takes them, with the right class of each. */
export interface ModelRows {
  readonly count: number;
  /** Class indexes of the model. */
  readonly labels: Int32Array;
  /** Rows from … from + size − 1; beyond the last one it begins anew with the first. */
  batch(from: number, size: number): NamedTensors;
}

/** An input of all rows. */
interface InputPart extends Pick<ModelInput, 'spec' | 'width'> {
  readonly data: NumericData;
}

/** Rows of a dataset take at most so much memory, in bytes; of more, some are drawn. */
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Reads rows of a split, in an order drawn by the seed.
 * @throws SlipwayError UNSUITABLE_DATA when they do not fit the model's inputs
 */
export async function readModelRows(examples: Examples, split: Split, signature: Signature, seed: number): Promise<ModelRows> {
  const { preparation } = examples;
  const made = preparation.inputs[0]!;
  const inputs = modelInputs(signature, made, preparation.preprocessing, unsuitable);
  const rowBytes = inputs.reduce((sum, { spec, width }) => sum + bytesPerElement(spec.dtype) * width, 0);
  const count = Math.min(preparation.rows[split], Math.max(1, Math.floor(MAX_BYTES / rowBytes)));
  const parts = inputs.map((input) => ({ ...input, data: new STORAGE[input.spec.dtype](input.width * count) }));
  const labels = new Int32Array(count);
  let row = 0;
  for await (const { size, inputs: batch, target } of examples.batches({ split, batchSize: 64, shuffle: { seed, epoch: 0 } })) {
    const taken = Math.min(size, count - row);
    const { data: source } = batch[0]!;
    for (const { width, data, fill } of parts) fill(source, taken, data.subarray(row * width, (row + taken) * width));
    labels.set((target!.data as Int32Array).subarray(0, taken), row);
    row += taken;
    if (row === count) break;
  }
  return {
    count,
    labels,
    batch(from, size) {
      return new Map(parts.map((part) => [part.spec.name, tensorOf(part, part.shapeOf(size), from, size, count)]));
    },
  };
}

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'data', message }] });
}

function tensorOf(
  { spec: { dtype }, width, data }: InputPart,
  shape: readonly number[],
  from: number,
  size: number,
  count: number,
): Tensor {
  if (from + size <= count) return { dtype, shape, data: data.slice(from * width, (from + size) * width) };
  const copy = data.slice(0, 0).constructor as new (length: number) => NumericData;
  const own = new copy(size * width);
  for (let row = 0; row < size; row += 1) {
    const source = ((from + row) % count) * width;
    own.set(data.subarray(source, source + width) as never, row * width);
  }
  return { dtype, shape, data: own };
}
