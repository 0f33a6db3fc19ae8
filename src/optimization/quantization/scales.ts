import type { Tensor } from '../../tensor/tensor.ts';

/*
 * Quantized numbers: real ≈ (integer − zeroPoint) × scale, as in https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
 * and B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018.
 */

/** Lowest and highest number that must be told apart. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export interface Affine {
  readonly scale: number;
  readonly zeroPoint: number;
}

const UINT8_LEVELS = 255;

/** uint8 with a zero point. 0 is in the range and has an integer of its own, for paddings and ReLU put it everywhere. */
export function uint8Affine({ min, max }: Range): Affine {
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  const scale = Math.fround((high - low) / UINT8_LEVELS);
  // A value that is always 0, or too small for the type of the scale.
  if (!(scale > 0) || !Number.isFinite(scale)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(UINT8_LEVELS, Math.max(0, Math.round(-low / scale))) };
}

/**
 * Decibels of a variance above that of rounding to uint8, which is a twelfth of the squared scale (W. Bennett, Spectra of
 * Quantized Signals, 1948). A value that is always the same has no rounding to fear.
 */
export function signalToNoise({ variance, ...range }: Range & { readonly variance: number }): number {
  return variance > 0 ? 10 * Math.log10((variance * 12) / uint8Affine(range).scale ** 2) : Number.POSITIVE_INFINITY;
}

/** Rounds to the nearest, ties to even, as ONNX Runtime does. */
function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

export function toUint8(values: Float32Array, { scale, zeroPoint }: Affine): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values, (value) => Math.min(UINT8_LEVELS, Math.max(0, roundEven(value / scale) + zeroPoint)));
}

/** Weights as int8 without zero points. */
export interface Int8Weights {
  readonly data: Int8Array<ArrayBuffer>;
  /** One, or one for each channel. */
  readonly scales: Float32Array<ArrayBuffer>;
}

export interface Int8Options {
  /** The axis whose elements have a scale each; undefined gives one scale for all. */
  readonly axis: number | undefined;
  /** Largest integer: 127, or 63 for processors that add products of int8 in 16 bits. */
  readonly most: number;
  /** No scale may be smaller, by channel; so that what is counted in it stays in the range of its type. */
  readonly leastScales?: ArrayLike<number>;
}

/** Symmetric int8 of weights: 0 stays 0, and the integers go from −`most` to `most`. */
export function int8Weights({ shape, data }: Tensor, { axis, most, leastScales }: Int8Options): Int8Weights {
  const values = data as Float32Array;
  const channels = axis === undefined ? 1 : shape[axis]!;
  const inner = axis === undefined ? values.length : shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const channelOf = (at: number): number => (axis === undefined ? 0 : Math.floor(at / inner) % channels);
  const largest = new Float64Array(channels);
  for (let at = 0; at < values.length; at += 1) {
    const channel = channelOf(at);
    const size = Math.abs(values[at]!);
    if (size > largest[channel]!) largest[channel] = size;
  }
  const scales = Float32Array.from(largest, (size, channel) => {
    const scale = Math.fround(Math.max(size / most, leastScales?.[channel] ?? 0));
    return scale > 0 && Number.isFinite(scale) ? scale : 1;
  });
  const quantized = new Int8Array(values.length);
  for (let at = 0; at < values.length; at += 1) {
    quantized[at] = Math.min(most, Math.max(-most, roundEven(values[at]! / scales[channelOf(at)]!)));
  }
  return { data: quantized, scales };
}

const LARGEST_INT32 = 2 ** 31 - 1;

/** Scales that keep a bias within half of int32, where it is counted in input scale × weight scale. */
export function leastScalesFor(bias: Float32Array, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / inputScale / (LARGEST_INT32 / 2));
}

/** A bias as int32 in the units of the products it is added to, and these units. */
export function int32Bias(bias: Float32Array, inputScale: number, weightScales: Float32Array) {
  const scales = Float32Array.from(bias, (_value, channel) => inputScale * weightScales[weightScales.length === 1 ? 0 : channel]!);
  return { data: Int32Array.from(bias, (value, channel) => roundEven(value / scales[channel]!)), scales };
}
