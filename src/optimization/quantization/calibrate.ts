import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { checkInputs } from '../../tensor/check-inputs.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { OnnxModel } from '../onnx-model/model.ts';
import { tensorValue } from '../onnx-model/node.ts';
import { writeOnnxModel } from '../onnx-model/write-model.ts';
import { type CalibrationMethod, countValues, createHistogram, entropyRange, type Histogram, percentileRange } from './histogram.ts';
import type { Range } from './scales.ts';
import { type CalibratedInput, inapplicable, type OpenedModel } from './technique.ts';

export interface CalibrationOptions {
  /** `minmax`: all values seen; `percentile`: without outliers; `entropy`: what tells most of the distribution. */
  readonly method: CalibrationMethod;
  /** Percent of the values that `percentile` keeps. */
  readonly percentile: number;
}

const NOTHING: Range = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };

/** What was seen of a value. */
export interface ValueStatistics extends Range {
  /** Variance within a channel, the mean of all channels: what tells one input from another. */
  readonly variance: number;
}

/** Sums by channel: of images the second axis, of everything else the last. */
interface Moments {
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  count: number;
}

function addMoments(moments: Moments | undefined, { shape, data }: Tensor): Moments {
  const axis = shape.length >= 4 ? 1 : Math.max(0, shape.length - 1);
  const channels = shape[axis] ?? 1;
  const values = data as Float32Array;
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const result =
    moments?.sums.length === channels ? moments : { sums: new Float64Array(channels), squares: new Float64Array(channels), count: 0 };
  for (let start = 0; start < values.length; start += inner) {
    const channel = (start / inner) % channels;
    let [sum, square] = [0, 0];
    for (let at = start; at < start + inner; at += 1) {
      const value = values[at]!;
      sum += value;
      square += value * value;
    }
    result.sums[channel]! += sum;
    result.squares[channel]! += square;
  }
  result.count += channels > 0 ? values.length / channels : 0;
  return result;
}

function varianceOf({ sums, squares, count }: Moments): number {
  const total = sums.reduce((sum, each, channel) => sum + squares[channel]! / count - (each / count) ** 2, 0);
  return count > 0 ? total / sums.length : 0;
}

function extend({ min, max }: Range, name: string, values: Float32Array): Range {
  let [low, high] = [min, max];
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (value < low) low = value;
    if (value > high) high = value;
    if (!Number.isFinite(value)) {
      throw inapplicable(`The value "${name}" became ${value} on the calibration data; such numbers have no integers.`);
    }
  }
  return { min: low, max: high };
}

/** Refuses data that does not fit the model. @throws SlipwayError INPUT_MISMATCH naming the batch */
function checkCalibration(calibration: readonly NamedTensors[], { signature }: OpenedModel): void {
  if (calibration.length === 0) throw inapplicable('There is no calibration data.');
  for (const [index, batch] of calibration.entries()) {
    try {
      checkInputs(batch, signature);
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      const message = `Batch ${index} of the calibration data: ${error.message}`;
      throw new SlipwayError(error.code, message, { details: error.details, cause: error });
    }
  }
}

/**
 * Opens a model so that values inside of it can be seen.
 * @param model it is written anew with the values as outputs, into a folder in `target` that is gone afterwards
 * @throws SlipwayError INPUT_MISMATCH when the calibration data does not fit the model; TECHNIQUE_INAPPLICABLE when there is none
 */
async function withInside<Result>(
  model: OnnxModel,
  names: readonly string[],
  { target, calibration, open }: CalibratedInput,
  use: (opened: OpenedModel) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(target, 'calibration-'));
  let opened: OpenedModel | undefined;
  try {
    const own = new Set([...model.graph.outputs, ...model.graph.inputs].map(({ name }) => name));
    const added = names.filter((name) => !own.has(name)).map((name) => tensorValue(name, 'FP32'));
    await writeOnnxModel({ ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } }, folder);
    opened = await open(folder);
    checkCalibration(calibration, opened);
    return await use(opened);
  } finally {
    await opened?.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a batch and gives the values of these names, which may be inputs. */
async function valuesIn(opened: OpenedModel, batch: NamedTensors, names: readonly string[]): Promise<NamedTensors> {
  const inside = names.filter((name) => !batch.has(name));
  const fed = names.filter((name) => batch.has(name)).map((name) => [name, batch.get(name)!] as const);
  return new Map([...fed, ...(await opened.run(batch, inside))]);
}

/** How many axes values have, by the first batch of the calibration data. @throws SlipwayError as `measureValues` */
export function measureRanks(model: OnnxModel, names: readonly string[], input: CalibratedInput): Promise<ReadonlyMap<string, number>> {
  return withInside(model, names, input, async (opened) => {
    const values = await valuesIn(opened, input.calibration[0]!, names);
    return new Map([...values].map(([name, { shape }]) => [name, shape.length]));
  });
}

/**
 * The range and the variance of values inside of a model, as the calibration data gives them.
 * @throws SlipwayError INPUT_MISMATCH when the data does not fit the model; TECHNIQUE_INAPPLICABLE when there is none, or a
 *   value is no finite FP32
 */
export function measureValues(
  model: OnnxModel,
  names: readonly string[],
  input: CalibratedInput,
  { method, percentile }: CalibrationOptions,
): Promise<ReadonlyMap<string, ValueStatistics>> {
  return withInside(model, names, input, async (opened) => {
    const see = async (found: (name: string, value: Tensor & { readonly data: Float32Array }) => void): Promise<void> => {
      for (const batch of input.calibration) {
        for (const [name, value] of await valuesIn(opened, batch, names)) {
          if (value.dtype !== 'FP32') throw inapplicable(`The value "${name}" is ${value.dtype}; FP32 alone is quantized.`);
          found(name, value as Tensor & { readonly data: Float32Array });
        }
      }
    };
    const ranges = new Map<string, Range>(names.map((name) => [name, NOTHING]));
    const moments = new Map<string, Moments>();
    await see((name, value) => {
      ranges.set(name, extend(ranges.get(name)!, name, value.data));
      moments.set(name, addMoments(moments.get(name), value));
    });
    for (const [name, range] of ranges) if (range.max < range.min) ranges.set(name, { min: 0, max: 0 });
    if (method !== 'minmax') {
      const histograms = new Map<string, Histogram>([...ranges].map(([name, range]) => [name, createHistogram(range)]));
      await see((name, { data }) => countValues(histograms.get(name)!, data));
      for (const [name, histogram] of histograms) {
        ranges.set(name, method === 'entropy' ? entropyRange(histogram) : percentileRange(histogram, percentile));
      }
    }
    return new Map([...ranges].map(([name, range]) => [name, { ...range, variance: varianceOf(moments.get(name)!) }]));
  });
}
