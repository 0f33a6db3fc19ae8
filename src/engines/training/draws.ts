/*
 * The random numbers of training, such as the masks of Dropout. They follow from the seed of the job, the step and the
 * layer alone, so every engine draws the same, a job that goes on draws what it would have drawn, and any part of an array
 * can be drawn by itself.
 */

/** What is drawn. `kept`: the value with the probability 1 − rate, else 0. `normal`: normally distributed. */
export type Distribution =
  | { readonly kind: 'kept'; readonly rate: number; readonly value: number }
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number };

const UINT32 = 2 ** 32;

/** Every bit of the input reaches every bit of the output: `lowbias32` (C. Wellons, Prospecting for hash functions, 2018). */
function scrambled(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** FNV-1a of G. Fowler, L. Noll and K. Vo. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** What the draws of a layer at a step follow from: a whole number of 32 bits. */
export function drawSeed(seed: number, step: number, layer: string): number {
  return scrambled(scrambled(scrambled(seed) ^ step) ^ hashOf(layer));
}

/** What a layer draws by at a step, for a part of the examples of a batch. */
export interface DrawSource {
  /** By `drawSeed`. */
  readonly seed: number;
  /** Examples of the batch before this part. */
  readonly first: number;
  /** Examples in it. */
  readonly examples: number;
}

/** Fills an array, of which each example has the same share, as the part of the whole batch's that it is. */
export function fillPart(target: Float32Array, distribution: Distribution, { seed, first, examples }: DrawSource, draw: number): void {
  fillDraw(target, distribution, seed, draw, (first * target.length) / examples);
}

/**
 * Fills an array with what a layer draws.
 * @param seed by `drawSeed`
 * @param draw which of the layer's draws it is, from 0
 * @param from the place of the first number, when the array is a part of a larger one
 */
export function fillDraw(target: Float32Array, distribution: Distribution, seed: number, draw: number, from = 0): void {
  // A step and a start of their own for each array: two arrays are no shifted copies of each other.
  const begin = scrambled(seed ^ Math.imul(draw + 1, 0x9e3779b9));
  const stride = scrambled(begin) | 1;
  const count = target.length;
  if (distribution.kind === 'kept') {
    const { rate, value } = distribution;
    const least = Math.round(rate * UINT32);
    for (let at = 0; at < count; at += 1) target[at] = scrambled((begin + Math.imul(from + at, stride)) | 0) >= least ? value : 0;
    return;
  }
  const { mean, deviation } = distribution;
  for (let at = 0; at < count; at += 1) {
    const place = (from + at) * 2;
    // Two uniform numbers make a normal one (G. Box, M. Muller, 1958); the first is never 0.
    const radius = (scrambled((begin + Math.imul(place, stride)) | 0) + 1) / UINT32;
    const angle = scrambled((begin + Math.imul(place + 1, stride)) | 0) / UINT32;
    target[at] = mean + deviation * Math.sqrt(-2 * Math.log(radius)) * Math.cos(2 * Math.PI * angle);
  }
}

/**
 * What each class of layers makes of its input by what it draws. The compiler and tfjs compute by this one table.
 * Sources: Keras' layers; AlphaDropout by G. Klambauer et al., Self-Normalizing Neural Networks, 2017.
 */
export interface RandomLayer {
  readonly distribution: Distribution;
  /** `add`: input + draw. `multiply`: input · draw. `choose`: scale · (draw · input + (1 − draw) · other) + offset. */
  readonly use:
    | { readonly kind: 'add' }
    | { readonly kind: 'multiply' }
    | { readonly kind: 'choose'; readonly other: number; readonly scale: number; readonly offset: number };
  /** Axes along which one number is drawn for all. */
  readonly shared: readonly number[];
}

/** The value of dropped units of selu: −α · λ. */
const SELU_LEAST = -1.6732632423543772 * 1.0507009873554805;

function spatial(rate: number, rank: number): RandomLayer {
  const shared = Array.from({ length: rank - 2 }, (_axis, index) => index + 1);
  return { ...dropout(rate), shared };
}

function dropout(rate: number): RandomLayer {
  return { distribution: { kind: 'kept', rate, value: 1 / (1 - rate) }, use: { kind: 'multiply' }, shared: [] };
}

/** The random layers, by class: what they draw, of their rate (or the deviation of GaussianNoise) and the rank of the input. */
export const RANDOM_LAYERS: Readonly<Record<string, (rate: number, rank: number) => RandomLayer>> = {
  Dropout: dropout,
  SpatialDropout1D: spatial,
  SpatialDropout2D: spatial,
  SpatialDropout3D: spatial,
  GaussianNoise: (deviation) => ({ distribution: { kind: 'normal', mean: 0, deviation }, use: { kind: 'add' }, shared: [] }),
  GaussianDropout: (rate) => ({
    distribution: { kind: 'normal', mean: 1, deviation: Math.sqrt(rate / (1 - rate)) },
    use: { kind: 'multiply' },
    shared: [],
  }),
  AlphaDropout(rate) {
    const scale = ((1 - rate) * (1 + rate * SELU_LEAST ** 2)) ** -0.5;
    return {
      distribution: { kind: 'kept', rate, value: 1 },
      use: { kind: 'choose', other: SELU_LEAST, scale, offset: -scale * SELU_LEAST * rate },
      shared: [],
    };
  },
};
