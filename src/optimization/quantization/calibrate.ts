import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { checkInputs } from '../../tensor/check-inputs.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
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

/** How many axes values have, by the first batch of the calibration data. @throws SlipwayError as `measureRanges` */
export function measureRanks(model: OnnxModel, names: readonly string[], input: CalibratedInput): Promise<ReadonlyMap<string, number>> {
  return withInside(model, names, input, async (opened) => {
    const values = await valuesIn(opened, input.calibration[0]!, names);
    return new Map([...values].map(([name, { shape }]) => [name, shape.length]));
  });
}

/**
 * The range of values inside of a model, as the calibration data gives them.
 * @throws SlipwayError INPUT_MISMATCH when the data does not fit the model; TECHNIQUE_INAPPLICABLE when there is none, or a
 *   value is no finite FP32
 */
export function measureRanges(
  model: OnnxModel,
  names: readonly string[],
  input: CalibratedInput,
  { method, percentile }: CalibrationOptions,
): Promise<ReadonlyMap<string, Range>> {
  return withInside(model, names, input, async (opened) => {
    const see = async (found: (name: string, values: Float32Array) => void): Promise<void> => {
      for (const batch of input.calibration) {
        for (const [name, { dtype, data }] of await valuesIn(opened, batch, names)) {
          if (dtype !== 'FP32') throw inapplicable(`The value "${name}" is ${dtype}; FP32 alone is quantized.`);
          found(name, data as Float32Array);
        }
      }
    };
    const ranges = new Map<string, Range>(names.map((name) => [name, NOTHING]));
    await see((name, values) => ranges.set(name, extend(ranges.get(name)!, name, values)));
    for (const [name, range] of ranges) if (range.max < range.min) ranges.set(name, { min: 0, max: 0 });
    if (method === 'minmax') return ranges;

    const histograms = new Map<string, Histogram>([...ranges].map(([name, range]) => [name, createHistogram(range)]));
    await see((name, values) => countValues(histograms.get(name)!, values));
    const rangeOf = (histogram: Histogram): Range =>
      method === 'entropy' ? entropyRange(histogram) : percentileRange(histogram, percentile);
    return new Map([...histograms].map(([name, histogram]) => [name, rangeOf(histogram)]));
  });
}
