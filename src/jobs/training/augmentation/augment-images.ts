import { combineSeeds, createRandom } from '../../../datasets/random.ts';
import type { Augmentation } from './schema.ts';

/** Images of a batch: how many values they have, and how these lie. */
export interface ImageLayout {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly order: 'HWC' | 'CHW';
}

/** Changes the first `count` images of an array in place. @param first place of the first one in its epoch */
export type AugmentImages = (images: Float32Array, count: number, epoch: number, first: number) => void;

/** Where an output pixel comes from: x′ = a·x + b·y + c, y′ = d·x + e·y + f. */
type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** Draws the change of one image. Each number is drawn whether it is used or not, so that one does not move the others. */
function drawAffine({ flip, shift = 0, rotate = 0, zoom = 0 }: Augmentation, { width, height }: ImageLayout, random: () => number): Affine {
  const within = (most: number): number => (2 * random() - 1) * most;
  const mirrorX = random() < 0.5 && (flip === 'horizontal' || flip === 'both') ? -1 : 1;
  const mirrorY = random() < 0.5 && (flip === 'vertical' || flip === 'both') ? -1 : 1;
  const [shiftX, shiftY] = [within(shift) * width, within(shift) * height];
  const angle = (within(rotate) * Math.PI) / 180;
  const size = 1 + within(zoom);
  const [cos, sin] = [Math.cos(angle) / size, Math.sin(angle) / size];
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  // About the centre: moved back, turned back, mirrored.
  const [a, b, d, e] = [mirrorX * cos, mirrorX * sin, -mirrorY * sin, mirrorY * cos];
  const [fromX, fromY] = [-centreX - shiftX, -centreY - shiftY];
  return [a, b, a * fromX + b * fromY + centreX, d, e, d * fromX + e * fromY + centreY];
}

const clamped = (value: number, most: number): number => (value < 0 ? 0 : value > most ? most : value);

/**
 * Writes an image as it looks after the change: each value is interpolated linearly between the four around the place that
 * it comes from; beyond the edge the image goes on as at its edge.
 */
function resample(source: Float32Array, target: Float32Array, [a, b, c, d, e, f]: Affine, layout: ImageLayout): void {
  const { width, height, channels, order } = layout;
  const [pixel, channel] = order === 'HWC' ? [channels, 1] : [1, width * height];
  const [lastX, lastY] = [width - 1, height - 1];
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += pixel) {
      const fromX = clamped(a * x + b * y + c, lastX);
      const fromY = clamped(d * x + e * y + f, lastY);
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      const [right, down] = [fromX - left, fromY - top];
      const upper = (top * width + left) * pixel;
      const nextX = left < lastX ? pixel : 0;
      const lower = upper + (top < lastY ? width * pixel : 0);
      for (let at = 0, offset = 0; at < channels; at += 1, offset += channel) {
        const above = source[upper + offset]! * (1 - right) + source[upper + nextX + offset]! * right;
        const below = source[lower + offset]! * (1 - right) + source[lower + nextX + offset]! * right;
        target[to + offset] = above * (1 - down) + below * down;
      }
    }
  }
}

/** Normally distributed numbers (G. Box, M. Muller, 1958). */
function addNoise(image: Float32Array, deviation: number, random: () => number): void {
  for (let at = 0; at < image.length; at += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    image[at] = image[at]! + radius * Math.cos(angle);
    if (at + 1 < image.length) image[at + 1] = image[at + 1]! + radius * Math.sin(angle);
  }
}

/**
 * Changes images as an augmentation says. What becomes of an image follows from the seed, the epoch and its place in the
 * epoch alone, so a training that goes on sees what it would have seen.
 */
export function createAugmentImages(augmentation: Augmentation, layout: ImageLayout, seed: number): AugmentImages {
  const { flip, shift, rotate, zoom, noise } = augmentation;
  const moves = flip !== undefined || shift !== undefined || rotate !== undefined || zoom !== undefined;
  const size = layout.width * layout.height * layout.channels;
  const source = new Float32Array(size);
  return (images, count, epoch, first) => {
    for (let index = 0; index < count; index += 1) {
      const random = createRandom(combineSeeds(seed, epoch, first + index));
      const image = images.subarray(index * size, (index + 1) * size);
      const affine = drawAffine(augmentation, layout, random);
      if (moves) {
        source.set(image);
        resample(source, image, affine, layout);
      }
      if (noise !== undefined) addNoise(image, noise, random);
    }
  };
}
