import type { Examples, Split } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { Preprocessing } from '../../../packages/manifest.ts';
import { bytesPerElement, isFixed, type NumericData, STORAGE } from '../../../tensor/dtype.ts';
import { formatShape } from '../../../tensor/shape.ts';
import type { Signature, TensorSpec } from '../../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';

/** Rows in memory as a model takes them, with the right class of each. */
export interface ModelRows {
  readonly count: number;
  /** Class indexes of the model. */
  readonly labels: Int32Array;
  /** Rows from … from + size − 1; beyond the last one it begins anew with the first. */
  batch(from: number, size: number): NamedTensors;
}

/** How an input is made of a row. */
interface InputPart {
  readonly spec: TensorSpec;
  /** Elements of a row. */
  readonly width: number;
  readonly data: NumericData;
}

/** Rows of a dataset take at most so much memory, in bytes; of more, some are drawn. */
const MAX_BYTES = 256 * 1024 * 1024;

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'data', message }] });
}

function widthOf({ shape, name }: TensorSpec, found: readonly number[]): number {
  const width = found.reduce((product, size) => product * size, 1);
  const own = shape?.slice(1);
  const fits = own === undefined || own.includes(-1) || own.reduce((product, size) => product * size, 1) === width;
  if (!fits)
    throw unsuitable(
      `The model's input "${name}" takes rows of the shape ${formatShape(own)}; those of the dataset have ${formatShape(found)}.`,
    );
  return width;
}

/** What the values of an input are, by the values of a row of the dataset. */
function fillerOf(spec: TensorSpec, preprocessing: Preprocessing): ((value: number) => number) | undefined {
  if (preprocessing.kind === 'text') {
    if (spec.name === preprocessing.attentionMask) return (id) => (id === preprocessing.padId ? 0 : 1);
    if (spec.name === preprocessing.tokenTypes) return () => 0;
  }
  return spec.name === preprocessing.input ? (value) => value : undefined;
}

function partsOf({ inputs }: Signature, { inputs: [made], preprocessing }: Examples['preparation'], count: number) {
  const [only] = inputs;
  const named = preprocessing.input === undefined && inputs.length === 1 ? { ...preprocessing, input: only!.name } : preprocessing;
  return inputs.map((spec) => {
    const fill = fillerOf(spec, named);
    if (fill === undefined)
      throw unsuitable(`The dataset does not say what the model's input "${spec.name}" is; "preprocessing" in slipway.json can name it.`);
    if (!isFixed(spec.dtype))
      throw unsuitable(`The model's input "${spec.name}" takes ${spec.dtype}, which rows of a dataset do not become.`);
    if (spec.dtype === 'FP16' || spec.dtype === 'BF16')
      throw unsuitable(`The model's input "${spec.name}" takes ${spec.dtype}, which rows of a dataset do not become.`);
    const width = widthOf(spec, made!.shape);
    return { spec, width, fill, data: new STORAGE[spec.dtype](width * count) };
  });
}

/** The shape of a batch as the model takes it: its own one, where that says more than that of the data. */
function shapeOfBatch({ shape }: TensorSpec, made: readonly number[], size: number): number[] {
  const own = shape?.slice(1);
  return [size, ...(own === undefined || own.includes(-1) ? made : own)];
}

/**
 * Reads rows of a split, in an order drawn by the seed.
 * @throws SlipwayError UNSUITABLE_DATA when they do not fit the model's inputs
 */
export async function readModelRows(examples: Examples, split: Split, signature: Signature, seed: number): Promise<ModelRows> {
  const { preparation } = examples;
  const made = preparation.inputs[0]!;
  const rowBytes = signature.inputs.reduce(
    (sum, spec) => sum + (isFixed(spec.dtype) ? bytesPerElement(spec.dtype) : 1) * widthOf(spec, made.shape),
    0,
  );
  const count = Math.min(preparation.rows[split], Math.max(1, Math.floor(MAX_BYTES / rowBytes)));
  const parts = partsOf(signature, preparation, count);
  const labels = new Int32Array(count);
  let row = 0;
  for await (const { size, inputs, target } of examples.batches({ split, batchSize: 64, shuffle: { seed, epoch: 0 } })) {
    const taken = Math.min(size, count - row);
    const { data: source } = inputs[0]!;
    for (const { width, data, fill, spec } of parts) {
      const end = taken * width;
      const isBig = spec.dtype === 'INT64' || spec.dtype === 'UINT64';
      for (let index = 0; index < end; index += 1) {
        const value = fill(source[index]!);
        if (isBig) (data as BigInt64Array)[row * width + index] = BigInt(value);
        else (data as Float32Array)[row * width + index] = value;
      }
    }
    labels.set((target!.data as Int32Array).subarray(0, taken), row);
    row += taken;
    if (row === count) break;
  }
  return {
    count,
    labels,
    batch(from, size) {
      return new Map(parts.map((part) => [part.spec.name, tensorOf(part, shapeOfBatch(part.spec, made.shape, size), from, size, count)]));
    },
  };
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
