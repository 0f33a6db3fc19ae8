import type { LayerConfig } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';

/** Of one example; NaN for a size that is not known yet, which no check fails on. */
export type Shape = readonly number[];

type Config = LayerConfig['config'];

/** What a layer makes of a shape. @throws Misfit in words */
type ShapeOf = (shape: Shape, config: Config) => Shape;

/** Why a layer cannot take what comes to it; the end of a sentence. */
class Misfit extends Error {}

/** As messages have it. */
export function shownShape(shape: Shape): string {
  return `[${shape.map((size) => (Number.isNaN(size) ? '?' : size)).join(', ')}]`;
}

function askRank(shape: Shape, rank: number, what: string): void {
  if (shape.length !== rank) throw new Misfit(`it takes ${what}, and what comes to it has the shape ${shownShape(shape)}`);
}

function positive(config: Config, key: string, fallback?: number): number {
  const value = config[key] ?? fallback;
  if (typeof value === 'number' && (Number.isNaN(value) || (Number.isInteger(value) && value > 0))) return value;
  throw new Misfit(
    `"${key}" must be a positive whole number${value === undefined ? ', and is missing' : `, not ${JSON.stringify(value)}`}`,
  );
}

/** One number for each axis; one that is given alone is for all. */
function sizes(config: Config, key: string, rank: number, fallback: number | Shape | undefined): Shape {
  const value = config[key] ?? fallback;
  const list = Array.isArray(value) ? (value as unknown[]) : Array<unknown>(rank).fill(value);
  const isSize = (each: unknown): each is number => typeof each === 'number' && Number.isInteger(each) && each > 0;
  if (list.length === rank && list.every(isSize)) return list;
  throw new Misfit(
    `"${key}" must be ${rank === 1 ? 'a positive whole number' : `${rank} positive whole numbers`}, not ${JSON.stringify(value)}`,
  );
}

/** Of convolutions and poolings, along one axis. */
function windowed(size: number, window: number, stride: number, padding: unknown, axis: string): number {
  if (padding === 'same') return Math.ceil(size / stride);
  if (size < window) throw new Misfit(`its window of ${window} is larger than the ${axis} that comes to it, ${size}`);
  return Math.floor((size - window) / stride) + 1;
}

const AXES = { 1: ['number of steps'], 2: ['height', 'width'] } as const;
const SPACES = { 1: 'sequences of the shape [steps, features]', 2: 'images of the shape [height, width, channels]' } as const;

/** @param filtersOf how many channels come out of so many */
function convolution(rank: 1 | 2, filtersOf = (config: Config, _channels: number): number => positive(config, 'filters')): ShapeOf {
  return (shape, config) => {
    askRank(shape, rank + 1, SPACES[rank]);
    const windows = sizes(config, 'kernel_size', rank, undefined);
    const strides = sizes(config, 'strides', rank, 1);
    const dilations = sizes(config, 'dilation_rate', rank, 1);
    const filters = filtersOf(config, shape[rank]!);
    const spread = windows.map((window, axis) => (window - 1) * dilations[axis]! + 1);
    const space = spread.map((window, axis) => windowed(shape[axis]!, window, strides[axis]!, config['padding'], AXES[rank][axis]!));
    return [...space, filters];
  };
}

function pooling(rank: 1 | 2): ShapeOf {
  return (shape, config) => {
    askRank(shape, rank + 1, SPACES[rank]);
    const windows = sizes(config, 'pool_size', rank, 2);
    const strides = sizes(config, 'strides', rank, windows);
    const space = windows.map((window, axis) => windowed(shape[axis]!, window, strides[axis]!, config['padding'], AXES[rank][axis]!));
    return [...space, shape.at(-1)!];
  };
}

function globalPooling(rank: 1 | 2): ShapeOf {
  return (shape) => {
    askRank(shape, rank + 1, SPACES[rank]);
    return [shape.at(-1)!];
  };
}

/** `[[top, bottom], [left, right]]`, or shorter. */
function edges(config: Config, key: string): readonly [readonly [number, number], readonly [number, number]] {
  const value = config[key] ?? 1;
  const [rows, columns] = Array.isArray(value) ? (value as unknown[]) : [value, value];
  const pair = (each: unknown): [number, number] => (Array.isArray(each) ? (each as [number, number]) : [each as number, each as number]);
  return [pair(rows), pair(columns)];
}

function edged(sign: 1 | -1, key: string): ShapeOf {
  return (shape, config) => {
    askRank(shape, 3, SPACES[2]);
    const [height, width] = edges(config, key).map(([before, after], axis) => shape[axis]! + sign * (before + after));
    if (height! < 1 || width! < 1) throw new Misfit(`nothing is left of the shape ${shownShape(shape)}`);
    return [height!, width!, shape[2]!];
  };
}

const recurrent: ShapeOf = (shape, config) => {
  askRank(shape, 2, SPACES[1]);
  const units = positive(config, 'units');
  return config['return_sequences'] === true ? [shape[0]!, units] : [units];
};

const sequence: ShapeOf = (shape) => {
  askRank(shape, 2, SPACES[1]);
  return shape;
};

/** The features are divided among the heads. */
const transformer: ShapeOf = (shape, config) => {
  askRank(shape, 2, SPACES[1]);
  const heads = positive(config, 'num_heads');
  if (shape[1]! % heads > 0) throw new Misfit(`its ${heads} heads cannot share the ${shape[1]} features that come to it`);
  return shape;
};

const product = (shape: Shape): number => shape.reduce((total, size) => total * size, 1);

const reshape: ShapeOf = (shape, config) => {
  const target = config['target_shape'];
  if (!Array.isArray(target)) throw new Misfit('"target_shape" is missing');
  // What is to be found out stands as −1, or in tfjs' files as null.
  const wanted = (target as (number | null)[]).map((size) => (size === null || size < 0 ? NaN : size));
  const given = product(shape);
  const isOpen = (target as (number | null)[]).some((size) => size === null || size < 0);
  const known = product(wanted.filter((size) => !Number.isNaN(size)));
  if (
    isOpen ? given % known !== 0 && !Number.isNaN(given % known) : !Number.isNaN(given) && !Number.isNaN(product(wanted)) && given !== known
  )
    throw new Misfit(`the shape ${shownShape(shape)} has ${given} values, which do not make ${JSON.stringify(target)}`);
  return wanted.map((size) => (Number.isNaN(size) && isOpen ? given / known : size));
};

const unchanged: ShapeOf = (shape) => shape;

/** Layers of which the shapes are known here; checks end at the first other one. */
const SHAPES: Readonly<Record<string, ShapeOf>> = {
  Dense: (shape, config) => [...shape.slice(0, -1), positive(config, 'units')],
  Activation: unchanged,
  Dropout: unchanged,
  BatchNormalization: unchanged,
  LayerNormalization: unchanged,
  ReLU: unchanged,
  LeakyReLU: unchanged,
  PReLU: unchanged,
  ELU: unchanged,
  ThresholdedReLU: unchanged,
  Rescaling: unchanged,
  Masking: unchanged,
  Flatten(shape) {
    if (shape.length < 2) throw new Misfit(`what comes to it is flat already, ${shownShape(shape)}`);
    return [product(shape)];
  },
  Reshape: reshape,
  Permute(shape, config) {
    const dims = config['dims'];
    const isOrder = Array.isArray(dims) && dims.length === shape.length && shape.every((_size, axis) => dims.includes(axis + 1));
    if (!isOrder) throw new Misfit(`"dims" must order the ${shape.length} axes of what comes to it, as 1 to ${shape.length}`);
    return (dims as number[]).map((axis) => shape[axis - 1]!);
  },
  RepeatVector(shape, config) {
    askRank(shape, 1, 'rows of numbers');
    return [positive(config, 'n'), shape[0]!];
  },
  Embedding: (shape, config) => [...shape, positive(config, 'output_dim')],
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  DepthwiseConv2D: convolution(2, (config, channels) => channels * positive(config, 'depth_multiplier', 1)),
  SeparableConv2D: convolution(2),
  Conv2DTranspose(shape, config) {
    askRank(shape, 3, SPACES[2]);
    const windows = sizes(config, 'kernel_size', 2, undefined);
    const strides = sizes(config, 'strides', 2, 1);
    const more = (axis: 0 | 1): number => (config['padding'] === 'same' ? 0 : Math.max(windows[axis]! - strides[axis]!, 0));
    return [shape[0]! * strides[0]! + more(0), shape[1]! * strides[1]! + more(1), positive(config, 'filters')];
  },
  Cropping2D: edged(-1, 'cropping'),
  ZeroPadding2D: edged(1, 'padding'),
  UpSampling2D(shape, config) {
    askRank(shape, 3, SPACES[2]);
    const [rows, columns] = sizes(config, 'size', 2, 2);
    return [shape[0]! * rows!, shape[1]! * columns!, shape[2]!];
  },
  MaxPooling1D: pooling(1),
  AveragePooling1D: pooling(1),
  MaxPooling2D: pooling(2),
  AveragePooling2D: pooling(2),
  GlobalAveragePooling1D: globalPooling(1),
  GlobalMaxPooling1D: globalPooling(1),
  GlobalAveragePooling2D: globalPooling(2),
  GlobalMaxPooling2D: globalPooling(2),
  SequencePooling: globalPooling(1),
  TokenAndPositionEmbedding(shape, config) {
    askRank(shape, 1, 'texts, as the numbers of their tokens');
    return [shape[0]!, positive(config, 'embedding_dim')];
  },
  PositionEmbedding: sequence,
  SinePositionEncoding: sequence,
  TransformerEncoder: transformer,
  TransformerDecoder: transformer,
  SimpleRNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  ConvLSTM2D(shape, config) {
    askRank(shape, 4, 'sequences of images, of the shape [steps, height, width, channels]');
    const image = convolution(2)(shape.slice(1), config);
    return config['return_sequences'] === true ? [shape[0]!, ...image] : image;
  },
};

function shapeAfter({ class_name: kind, config }: LayerConfig, place: number, shape: Shape): Shape | undefined {
  const shapeOf = SHAPES[kind];
  if (shapeOf === undefined || config['data_format'] === 'channels_first') return undefined;
  try {
    return shapeOf(shape, config);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    const message = `Layer ${place}, ${kind} "${String(config['name'])}", does not fit: ${error.message}.`;
    throw new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
  }
}

export interface ShapedLayers {
  /** With the sizes that Reshape layers leave open, which tfjs does not find out. */
  readonly layers: readonly LayerConfig[];
  /** Of what the last one gives; undefined when one of them is not known here, or has the channels first. */
  readonly output: Shape | undefined;
}

/**
 * What layers make of their input.
 * @param layers the first one is the input
 * @throws SlipwayError INVALID_ARCHITECTURE naming the first layer that does not fit and why, in words
 */
export function shapeLayers(layers: readonly LayerConfig[], input: Shape): ShapedLayers {
  let shape: Shape | undefined = input;
  const shaped = layers.map((layer, index) => {
    if (index === 0 || shape === undefined) return layer;
    shape = shapeAfter(layer, index, shape);
    if (layer.class_name !== 'Reshape' || shape === undefined || shape.some(Number.isNaN)) return layer;
    return { ...layer, config: { ...layer.config, target_shape: shape } };
  });
  return { layers: shaped, output: shape };
}
