import { SlipwayError } from '../../../errors/slipway-error.ts';
import { encodeJsonTensor } from '../../../tensor/json-encode.ts';
import { formatShape } from '../../../tensor/shape.ts';
import { sliceRows } from '../../../tensor/slice-rows.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';
import type { PredictFormat } from './decode-predict.ts';

/** By the rule of TensorFlow Serving, text outputs whose name ends so hold bytes. */
const BYTES_SUFFIX = '_bytes';

/** Floats have a point or an exponent, and NaN and ±Infinity stand bare, as TensorFlow Serving writes them. */
function tensorText(name: string, tensor: Tensor): string {
  return encodeJsonTensor(tensor, { nonFinite: true, point: true, base64: name.endsWith(BYTES_SUFFIX) });
}

/** The entries of a tensor along its first dimension, as tensors that share its memory. */
function rowsOf(tensor: Tensor): Tensor[] {
  const [count = 0, ...shape] = tensor.shape;
  return Array.from({ length: count }, (_row, index) => ({ ...sliceRows(tensor, index, index + 1), shape }));
}

/** @throws SlipwayError OUTPUT_MISMATCH when the outputs do not have one entry for each of the same examples. */
function checkRows(outputs: NamedTensors): void {
  let first: number | undefined;
  for (const [name, { shape }] of outputs) {
    const [size] = shape;
    first ??= size;
    if (size !== undefined && size === first) continue;
    const found = size === undefined ? 'is a single value' : `has the shape ${formatShape(shape)} where another begins with ${first}`;
    throw new SlipwayError(
      'OUTPUT_MISMATCH',
      `The output "${name}" ${found}; the row format needs one entry for each example. Send "inputs" instead.`,
    );
  }
}

function rowsText(outputs: NamedTensors): string {
  checkRows(outputs);
  const [only, ...more] = outputs;
  if (only !== undefined && more.length === 0) return tensorText(...only);
  const columns = [...outputs].map(([name, tensor]) => ({
    key: JSON.stringify(name),
    texts: rowsOf(tensor).map((row) => tensorText(name, row)),
  }));
  const rows = columns[0]?.texts.map((_text, index) => `{${columns.map(({ key, texts }) => `${key}:${texts[index]}`).join(',')}}`) ?? [];
  return `[${rows.join(',')}]`;
}

function columnsText(outputs: NamedTensors): string {
  const [only, ...more] = outputs;
  if (only !== undefined && more.length === 0) return tensorText(...only);
  return `{${[...outputs].map(([name, tensor]) => `${JSON.stringify(name)}:${tensorText(name, tensor)}`).join(',')}}`;
}

/** The answer in the format of the request. @throws SlipwayError OUTPUT_MISMATCH, INVALID_TENSOR */
export function encodePredict(outputs: NamedTensors, format: PredictFormat): string {
  return format === 'row' ? `{"predictions":${rowsText(outputs)}}` : `{"outputs":${columnsText(outputs)}}`;
}
