import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ImagePreprocessing, Preprocessing, TableColumn } from '../../packages/manifest.ts';
import { tableShape } from '../../preprocessing/table.ts';
import type { Column, ImageRequest, InputSpec, PreparationRequest } from '../dataset.ts';
import { ARRAY_TYPES, elementsOf, type StoredColumn } from '../records/layout.ts';
import type { RecordViews } from '../records/record-views.ts';
import type { ChosenFeatures } from './choose-features.ts';
import { createMeter } from './meter.ts';
import { codeReader, numberReader } from './record-columns.ts';

/** Names of the model's input. */
const FEATURES_INPUT = 'features';
const IMAGE_INPUT = 'image';

/** Measures one column over the training rows, and says how it is to be read from then on. */
interface ColumnMeter {
  add(views: RecordViews, record: number): void;
  finish(): TableColumn;
}

function meterNumber(column: StoredColumn, recordBytes: number, isScaled: boolean): ColumnMeter {
  const { name, type } = column;
  const valueOf = numberReader(column, recordBytes);
  const meter = createMeter();
  return {
    add: (views, record) => meter.add(valueOf(views, record)),
    finish() {
      const isBoolean = type === 'boolean';
      const { mean, std } = isScaled && !isBoolean ? meter : { mean: 0, std: 1 };
      return { kind: isBoolean ? 'boolean' : 'number', name, mean, std, ...(meter.missing > 0 && { missing: meter.mean }) };
    },
  };
}

function meterCategory(column: StoredColumn, recordBytes: number, unknown: 'refuse' | 'ignore'): ColumnMeter {
  const { name } = column;
  const dictionary = column.dictionary!;
  const codeOf = codeReader(column, recordBytes);
  const seen = new Uint8Array(dictionary.length);
  let missing = 0;
  return {
    add(views, record) {
      const code = codeOf(views, record);
      if (code < 0) missing += 1;
      else seen[code] = 1;
    },
    finish() {
      const categories = dictionary.filter((_text, code) => seen[code] === 1).toSorted((a, b) => (a < b ? -1 : 1));
      if (categories.length === 0) throw new SlipwayError('UNSUITABLE_DATA', `The feature "${name}" has no value in any training row.`);
      return { kind: 'category', name, categories, unknown, missing: missing > 0 ? 'ignore' : 'refuse' };
    },
  };
}

function meterVector(column: StoredColumn, recordBytes: number, isScaled: boolean): ColumnMeter {
  const { cell, name } = column;
  if (cell.storage.kind !== 'array') throw new TypeError(`${name} is no array`);
  const { shape, dtype } = cell.storage;
  const elements = elementsOf(shape);
  const { BYTES_PER_ELEMENT } = ARRAY_TYPES[dtype];
  const meter = createMeter();
  return {
    add({ bytes, floats, integers }, record) {
      if (!isScaled) return;
      const values = dtype === 'uint8' ? bytes : dtype === 'float32' ? floats : integers;
      const start = (record * recordBytes + cell.offset) / BYTES_PER_ELEMENT;
      for (let index = start; index < start + elements; index += 1) meter.add(values[index]!);
    },
    finish: () => ({ kind: 'vector', name, shape: [...shape], mean: isScaled ? meter.mean : 0, std: isScaled ? meter.std : 1 }),
  };
}

/** Height, width and channels as they are asked for; what is left out is that of the images. */
function imageSize({ name, shape, shapeRange }: Column, request: ImageRequest): [height: number, width: number, channels: number] {
  const asked = [request.height, request.width, request.channels];
  if (shapeRange !== undefined && (request.width === undefined || request.height === undefined)) {
    const [smallest, largest] = [shapeRange.smallest, shapeRange.largest].map(([height, width]) => `${width}×${height}`);
    // That some are grey and some in colours is no matter: one is made of the other.
    if (smallest !== largest) {
      throw new SlipwayError(
        'UNSUITABLE_DATA',
        `The images in "${name}" are of several sizes, ${smallest} to ${largest}; say which width and height they are to have.`,
        {
          details: [{ path: 'image', message: 'width and height are missing' }],
        },
      );
    }
  }
  const [height, width, channels] = (shape ?? shapeRange?.largest ?? [1, 1, 1]).map((own, axis) => asked[axis] ?? own);
  return [height!, width!, channels!];
}

/** Levels 0–255 become 0–1; there is nothing to measure. */
function imageMeter(column: Column, request: ImageRequest): FeatureMeter {
  const { layout = 'HWC', fit = 'fill' } = request;
  const [height, width, channels] = imageSize(column, request);
  return {
    add() {},
    finish() {
      const preprocessing: ImagePreprocessing = {
        kind: 'image',
        input: IMAGE_INPUT,
        width,
        height,
        channels: channels === 3 ? 3 : 1,
        layout,
        fit,
        background: 0,
        scale: 1 / 255,
      };
      const shape = layout === 'HWC' ? [height, width, channels] : [channels, height, width];
      return { input: { name: IMAGE_INPUT, dtype: 'FP32', shape }, preprocessing };
    },
  };
}

/** Measures the chosen columns over the rows that it is given, which are those for training. */
export interface FeatureMeter {
  add(views: RecordViews, record: number): void;
  finish(): { readonly input: InputSpec; readonly preprocessing: Preprocessing };
}

/**
 * @param described all columns of the dataset.
 * @throws SlipwayError UNSUITABLE_DATA
 */
export function createFeatureMeter(
  { kind, columns }: ChosenFeatures,
  request: PreparationRequest,
  described: readonly Column[],
  recordBytes: number,
): FeatureMeter {
  const isScaled = (request.scaling ?? 'standard') === 'standard';
  if (kind === 'image')
    return imageMeter(
      described.find(({ name }) => name === columns[0]!.name)!,
      request.image ?? {},
    );
  const meters = columns.map((column) => {
    if (column.type === 'category') return meterCategory(column, recordBytes, request.unknownCategories ?? 'refuse');
    if (column.type === 'vector') return meterVector(column, recordBytes, isScaled);
    return meterNumber(column, recordBytes, isScaled);
  });
  return {
    add(views, record) {
      for (const meter of meters) meter.add(views, record);
    },
    finish() {
      const tableColumns = meters.map((meter) => meter.finish());
      return {
        input: { name: FEATURES_INPUT, dtype: 'FP32', shape: tableShape(tableColumns) },
        preprocessing: { kind: 'table', input: FEATURES_INPUT, columns: tableColumns },
      };
    },
  };
}
