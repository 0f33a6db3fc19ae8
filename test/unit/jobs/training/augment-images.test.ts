import { describe, expect, it } from 'vitest';
import { createAugmentImages, type ImageLayout } from '../../../../src/jobs/training/augmentation/augment-images.ts';
import type { Augmentation } from '../../../../src/jobs/training/augmentation/schema.ts';
import { realDigits, SIDE } from '../../../helpers/digits.ts';

const GREY: ImageLayout = { width: SIDE, height: SIDE, channels: 1, order: 'HWC' };
const SIZE = SIDE * SIDE;
const digits = Float32Array.from(realDigits(4).images, (level) => level / 255);
const COUNT = digits.length / SIZE;

function changed(augmentation: Augmentation, { epoch = 0, seed = 1, layout = GREY, images = digits } = {}): Float32Array {
  const copy = images.slice();
  const size = layout.width * layout.height * layout.channels;
  createAugmentImages(augmentation, layout, seed)(copy, copy.length / size, epoch, 0);
  return copy;
}

const imageOf = (images: Float32Array, index: number, size = SIZE): number[] => [...images.subarray(index * size, (index + 1) * size)];

/** Sum of the levels and where their centre is. */
function momentsOf(image: readonly number[]): { mass: number; x: number; y: number } {
  const mass = image.reduce((sum, level) => sum + level, 0);
  const x = image.reduce((sum, level, at) => sum + level * (at % SIDE), 0) / mass;
  const y = image.reduce((sum, level, at) => sum + level * Math.floor(at / SIDE), 0) / mass;
  return { mass, x, y };
}

describe('augmentation of images', () => {
  const ALL: Augmentation = { flip: 'both', shift: 0.1, rotate: 15, zoom: 0.1, noise: 0.05 };

  it('is the same for the same seed, epoch and place, however the epoch is cut into batches', () => {
    const whole = changed(ALL);
    const parts = digits.slice();
    const augment = createAugmentImages(ALL, GREY, 1);
    for (let first = 0; first < COUNT; first += 7)
      augment(parts.subarray(first * SIZE, Math.min(COUNT, first + 7) * SIZE), Math.min(7, COUNT - first), 0, first);
    expect(parts).toEqual(whole);
    expect(changed(ALL, { epoch: 1 })).not.toEqual(whole);
    expect(changed(ALL, { seed: 2 })).not.toEqual(whole);
  });

  it('changes nothing when nothing is asked for', () => {
    expect(changed({})).toEqual(digits);
  });

  it.each([
    ['horizontal', (at: number): number => Math.floor(at / SIDE) * SIDE + SIDE - 1 - (at % SIDE)],
    ['vertical', (at: number): number => (SIDE - 1 - Math.floor(at / SIDE)) * SIDE + (at % SIDE)],
  ] as const)('mirrors about half of the images: %s', (flip, mirrored) => {
    const result = changed({ flip });
    let flipped = 0;
    for (let index = 0; index < COUNT; index += 1) {
      const [before, after] = [imageOf(digits, index), imageOf(result, index)];
      const turned = before.map((_level, at) => before[mirrored(at)]!);
      const isFlipped = after.every((level, at) => Math.abs(level - turned[at]!) < 1e-5);
      if (isFlipped) flipped += 1;
      else for (const [at, level] of after.entries()) expect(level).toBeCloseTo(before[at]!, 5);
    }
    expect(flipped).toBeGreaterThan(COUNT / 4);
    expect(flipped).toBeLessThan((COUNT * 3) / 4);
  });

  it('moves an image by at most its share, and each by another way', () => {
    const result = changed({ shift: 0.1 });
    const moves: number[] = [];
    for (let index = 0; index < COUNT; index += 1) {
      const [before, after] = [momentsOf(imageOf(digits, index)), momentsOf(imageOf(result, index))];
      // Some digits reach the edge and lose a little there.
      expect(after.mass / before.mass).toBeCloseTo(1, 1);
      expect(Math.abs(after.x - before.x)).toBeLessThan(0.1 * SIDE + 0.1);
      expect(Math.abs(after.y - before.y)).toBeLessThan(0.1 * SIDE + 0.1);
      moves.push(after.x - before.x);
    }
    expect(Math.min(...moves)).toBeLessThan(-1);
    expect(Math.max(...moves)).toBeGreaterThan(1);
  });

  it('turns about the centre: what is round stays, what is not does not', () => {
    const centre = (SIDE - 1) / 2;
    const from = (level: (x: number, y: number) => number): Float32Array<ArrayBuffer> =>
      Float32Array.from({ length: SIZE }, (_level, at) => level((at % SIDE) - centre, Math.floor(at / SIDE) - centre));
    const round = from((x, y) => Math.exp(-(x * x + y * y) / 40));
    const long = from((x, y) => Math.exp(-(x * x) / 4 - (y * y) / 80));
    const differences = (image: Float32Array<ArrayBuffer>): number =>
      Math.max(...changed({ rotate: 90 }, { images: image }).map((level, at) => Math.abs(level - image[at]!)));
    expect(differences(round)).toBeLessThan(0.01);
    expect(differences(long)).toBeGreaterThan(0.2);
  });

  it('zooms in and out about the centre', () => {
    const masses = Array.from({ length: 20 }, (_each, epoch) => momentsOf(imageOf(changed({ zoom: 0.3 }, { epoch }), 0)).mass);
    const { mass } = momentsOf(imageOf(digits, 0));
    expect(Math.min(...masses)).toBeLessThan(0.8 * mass);
    expect(Math.max(...masses)).toBeGreaterThan(1.2 * mass);
  });

  it('goes on beyond the edge as at the edge', () => {
    const grey = new Float32Array(SIZE).fill(0.5);
    expect(changed({ shift: 0.5, rotate: 45, zoom: 0.5 }, { images: grey }).every((level) => Math.abs(level - 0.5) < 1e-6)).toBe(true);
  });

  it('adds noise of the deviation that is asked for', () => {
    const result = changed({ noise: 0.1 }, { images: new Float32Array(40 * SIZE) });
    const mean = result.reduce((sum, value) => sum + value, 0) / result.length;
    const deviation = Math.sqrt(result.reduce((sum, value) => sum + (value - mean) ** 2, 0) / result.length);
    expect(mean).toBeCloseTo(0, 2);
    expect(deviation).toBeCloseTo(0.1, 2);
  });

  it('treats the channels of an image alike, in either order of the dimensions', () => {
    const [width, height, channels] = [5, 4, 3];
    const size = width * height * channels;
    const hwc = Float32Array.from({ length: size }, (_value, at) => Math.sin(at));
    const chw = Float32Array.from(
      { length: size },
      (_value, at) => hwc[(at % (width * height)) * channels + Math.floor(at / (width * height))]!,
    );
    const augmentation: Augmentation = { flip: 'horizontal', shift: 0.2, rotate: 20 };
    const one = changed(augmentation, { images: hwc, layout: { width, height, channels, order: 'HWC' } });
    const other = changed(augmentation, { images: chw, layout: { width, height, channels, order: 'CHW' } });
    for (let at = 0; at < size; at += 1)
      expect(other[at]).toBe(one[(at % (width * height)) * channels + Math.floor(at / (width * height))]);
  });
});
