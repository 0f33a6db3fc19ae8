import type { InputSpec } from '../../datasets/dataset.ts';
import type { SlipwayError } from '../../errors/slipway-error.ts';
import type { Preprocessing } from '../../packages/manifest.ts';
import { type FixedDType, isFixed, type NumericData } from '../../tensor/dtype.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Signature, TensorSpec } from '../../tensor/signature.ts';

/** How an input of a model is made of rows of a dataset. */
export interface ModelInput {
  readonly spec: TensorSpec & { readonly dtype: FixedDType };
  /** Elements of a row. */
  readonly width: number;
  /** Of a batch: what the model says of it, where that is more than what the data does. */
  shapeOf(rows: number): number[];
  /** Writes the first rows of a dataset's input. */
  fill(source: ArrayLike<number>, rows: number, target: NumericData): void;
}

/** @param refuse makes the error of a sentence. */
type Refuse = (message: string) => SlipwayError;

function widthOf({ shape, name }: TensorSpec, found: readonly number[], refuse: Refuse): number {
  const width = found.reduce((product, size) => product * size, 1);
  const own = shape?.slice(1);
  const fits = own === undefined || own.includes(-1) || own.reduce((product, size) => product * size, 1) === width;
  if (!fits)
    throw refuse(
      `The model's input "${name}" takes rows of the shape ${formatShape(own)}; those of the dataset have ${formatShape(found)}.`,
    );
  return width;
}

/** What the values of an input are, by the values of a row of the dataset. */
function valueOf(spec: TensorSpec, preprocessing: Preprocessing): ((value: number) => number) | undefined {
  if (preprocessing.kind === 'text') {
    if (spec.name === preprocessing.attentionMask) return (id) => (id === preprocessing.padId ? 0 : 1);
    if (spec.name === preprocessing.tokenTypes) return () => 0;
  }
  return spec.name === preprocessing.input ? (value) => value : undefined;
}

/**
 * How the inputs of a model are made of one input of a dataset.
 * @throws what `refuse` gives when they do not fit
 */
export function modelInputs({ inputs }: Signature, made: InputSpec, preprocessing: Preprocessing, refuse: Refuse): readonly ModelInput[] {
  const [only] = inputs;
  const named = preprocessing.input === undefined && inputs.length === 1 ? { ...preprocessing, input: only!.name } : preprocessing;
  return inputs.map((spec) => {
    const value = valueOf(spec, named);
    if (value === undefined)
      throw refuse(`The dataset does not say what the model's input "${spec.name}" is; "preprocessing" in slipway.json can name it.`);
    const { dtype } = spec;
    if (!isFixed(dtype) || dtype === 'FP16' || dtype === 'BF16')
      throw refuse(`The model's input "${spec.name}" takes ${dtype}, which rows of a dataset do not become.`);
    const width = widthOf(spec, made.shape, refuse);
    const own = spec.shape?.slice(1);
    const isBig = dtype === 'INT64' || dtype === 'UINT64';
    return {
      spec: { ...spec, dtype },
      width,
      shapeOf: (rows) => [rows, ...(own === undefined || own.includes(-1) ? made.shape : own)],
      fill(source, rows, target) {
        const end = rows * width;
        if (isBig) for (let at = 0; at < end; at += 1) (target as BigInt64Array)[at] = BigInt(value(source[at]!));
        else for (let at = 0; at < end; at += 1) (target as Float32Array)[at] = value(source[at]!);
      },
    };
  });
}
