import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Classification } from '../../packages/manifest.ts';
import type { NumericData } from '../../tensor/dtype.ts';
import { decodeBf16, decodeFp16 } from '../../tensor/float16.ts';
import { encodeJsonTensor } from '../../tensor/json-encode.ts';
import type { Tensor } from '../../tensor/tensor.ts';

export interface ClassificationOptions {
  /** Name of the output, for errors. */
  readonly output: string;
  /** How many of the highest values to give. */
  readonly count: number;
  /** Whether the first dimension counts examples; each then has highest values of its own. */
  readonly batched: boolean;
  /** Names of the classes, by index. */
  readonly labels: readonly string[] | undefined;
}

/** Sorting more elements than this for one example holds up every other request. */
const MOST_CLASSES = 300_000;

type Values = ArrayLike<number> | ArrayLike<bigint>;

function valuesOf({ dtype, data }: Tensor): Values | undefined {
  if (dtype === 'BYTES' || dtype === 'BOOL') return undefined;
  if (dtype === 'FP16') return decodeFp16(data as Uint16Array);
  if (dtype === 'BF16') return decodeBf16(data as Uint16Array);
  return data as Values;
}

/** Indexes of the highest values from `start` to before `end`, highest first; NaN is below all, equal ones keep their order. */
function highest(values: Values, start: number, end: number, count: number): number[] {
  const indexes = Array.from({ length: end - start }, (_index, offset) => start + offset);
  indexes.sort((a, b) => {
    const [left, right] = [values[a]!, values[b]!];
    if (left > right) return -1;
    if (right > left) return 1;
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  });
  return indexes.slice(0, count);
}

/** One element as JSON writes it, so that FP32 has as few digits as read back to it. */
function elementText({ dtype, data }: Tensor, at: number): string {
  return encodeJsonTensor({ dtype, shape: [], data: (data as NumericData).slice(at, at + 1) }, { nonFinite: true });
}

/**
 * The classification extension of Triton: the highest values of an output as texts `value:index[:label]`.
 * @returns BYTES of the shape [examples, count], or [count] when the output is not batched.
 * @throws SlipwayError INVALID_REQUEST for an output without numbers, or with too many for one example.
 */
export function classifyOutput(tensor: Tensor, { output, count, batched, labels }: ClassificationOptions): Tensor {
  const values = valuesOf(tensor);
  const { shape, dtype, data } = tensor;
  const examples = batched ? (shape[0] ?? 1) : 1;
  const classes = examples === 0 ? 0 : data.length / examples;
  const problem =
    values === undefined ? `it is ${dtype}` : classes > MOST_CLASSES ? `it has ${classes} values for each example` : undefined;
  if (values === undefined || problem !== undefined) {
    throw new SlipwayError('INVALID_REQUEST', `The output "${output}" can't be given as a classification: ${problem}.`, {
      details: [{ path: `outputs.${output}.parameters.classification`, message: problem ?? '' }],
    });
  }
  const texts: Buffer[] = [];
  for (let start = 0; start < values.length; start += classes) {
    for (const at of highest(values, start, start + classes, count)) {
      const label = labels?.[at - start];
      texts.push(Buffer.from(`${elementText(tensor, at)}:${at - start}${label === undefined ? '' : `:${label}`}`, 'utf8'));
    }
  }
  const given = Math.min(count, classes);
  return { dtype: 'BYTES', shape: batched ? [examples, given] : [given], data: texts };
}

/** The labels of an output, if the model's manifest says that it holds the scores of its classes. */
export function labelsOf(
  output: string,
  firstOutput: string | undefined,
  classification: Classification | undefined,
): readonly string[] | undefined {
  // The extension counts classes from the beginning of each example, which are those of its first token.
  if (classification === undefined || classification.of === 'token') return undefined;
  return output === (classification.output ?? firstOutput) ? classification.labels : undefined;
}
