import fc from 'fast-check';
import sharp from 'sharp';
import { crc32, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { imagePreprocessing } from '../../helpers/preprocessing.ts';
import { preprocessImage } from '../../../src/preprocessing/image.ts';

const LIMITS = { maxImagePixels: 1_000_000 };

/** A 2×2 image: red, green / blue, white. */
const colours = sharp(Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]), { raw: { width: 2, height: 2, channels: 3 } });

/** A PNG chunk (PNG specification §5.3): length, type, data, CRC. */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** A PNG that says to be this large; its data is that of a few black rows. */
function pngOf(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8); // 8-bit grey
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(Buffer.alloc(1_000))), chunk('IEND', Buffer.alloc(0))]);
}

describe('preprocessImage', () => {
  it('keeps the exact grey levels of an image that has the right size', async () => {
    const levels = Uint8Array.from({ length: 784 }, (_pixel, index) => (index * 37) % 256);
    const png = await sharp(levels, { raw: { width: 28, height: 28, channels: 1 } })
      .png()
      .toBuffer();
    const tensor = await preprocessImage(
      png,
      imagePreprocessing({ width: 28, height: 28, channels: 1, layout: 'CHW', scale: 1 / 255 }),
      LIMITS,
    );
    expect(tensor.shape).toEqual([1, 1, 28, 28]);
    expect(tensor.data).toEqual(Float32Array.from(levels, (level) => level / 255));
  });

  it('lays colours out as the model wants them, scaled and normalised', async () => {
    const png = await colours.clone().png().toBuffer();
    const shared = { width: 2, height: 2, channels: 3, scale: 1 / 255, mean: [0.5, 0.25, 0], std: [0.5, 1, 2] } as const;
    const red = [1, -1, -1, 1];
    const green = [-0.25, 0.75, -0.25, 0.75];
    const blue = [0, 0, 0.5, 0.5];
    const chw = await preprocessImage(
      png,
      imagePreprocessing({ ...shared, mean: [...shared.mean], std: [...shared.std], layout: 'CHW' }),
      LIMITS,
    );
    expect(chw).toMatchObject({ dtype: 'FP32', shape: [1, 3, 2, 2] });
    expect([...(chw.data as Float32Array)]).toEqual([...red, ...green, ...blue]);
    const hwc = await preprocessImage(
      png,
      imagePreprocessing({ ...shared, mean: [...shared.mean], std: [...shared.std], layout: 'HWC' }),
      LIMITS,
    );
    expect(hwc.shape).toEqual([1, 2, 2, 3]);
    expect([...(hwc.data as Float32Array)]).toEqual([0, 1, 2, 3].flatMap((pixel) => [red[pixel], green[pixel], blue[pixel]]));
  });

  it('reads PNG, JPEG, WebP, GIF and TIFF, of 16 bits too', async () => {
    const grey = () => sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 128, g: 128, b: 128 } } });
    const preprocessing = imagePreprocessing({ width: 4, height: 4, channels: 1, layout: 'CHW' });
    for (const make of [grey().png(), grey().jpeg(), grey().webp(), grey().gif(), grey().tiff(), grey().toColourspace('rgb16').png()]) {
      const { data } = await preprocessImage(await make.toBuffer(), preprocessing, LIMITS);
      for (const value of data as Float32Array) expect(Math.abs(value - 128)).toBeLessThanOrEqual(1);
    }
  });

  it('turns an image as its EXIF orientation says, and puts transparent pixels on the background', async () => {
    const preprocessing = imagePreprocessing({ width: 1, height: 2, channels: 1, layout: 'CHW', background: 77 });
    const lying = await sharp(Buffer.from([10, 200]), { raw: { width: 2, height: 1, channels: 1 } })
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    expect([...((await preprocessImage(lying, preprocessing, LIMITS)).data as Float32Array)]).toEqual([10, 200]);
    const clear = await sharp({ create: { width: 1, height: 2, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .png()
      .toBuffer();
    expect([...((await preprocessImage(clear, preprocessing, LIMITS)).data as Float32Array)]).toEqual([77, 77]);
  });

  it('stretches, pads or crops', async () => {
    const wide = await sharp({ create: { width: 8, height: 4, channels: 3, background: { r: 200, g: 200, b: 200 } } })
      .png()
      .toBuffer();
    const shared = { width: 4, height: 4, channels: 1, layout: 'CHW', background: 0 } as const;
    const values = async (fit: 'fill' | 'contain' | 'cover'): Promise<Set<number>> =>
      new Set((await preprocessImage(wide, imagePreprocessing({ ...shared, fit }), LIMITS)).data as Float32Array);
    expect(await values('fill')).toEqual(new Set([200]));
    expect(await values('cover')).toEqual(new Set([200]));
    expect(await values('contain')).toEqual(new Set([0, 200]));
  });

  it('refuses an image bomb by its header', async () => {
    const preprocessing = imagePreprocessing({ width: 4, height: 4, channels: 1, layout: 'CHW' });
    await expect(preprocessImage(pngOf(30_000, 30_000), preprocessing, LIMITS)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
    await expect(preprocessImage(pngOf(1_001, 1_000), preprocessing, LIMITS)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
  });

  it('refuses what is no raster image, and what is cut short', async () => {
    const preprocessing = imagePreprocessing({ width: 4, height: 4, channels: 1, layout: 'CHW' });
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>');
    const whole = await sharp(Buffer.alloc(30_000, 7), { raw: { width: 100, height: 100, channels: 3 } })
      .jpeg()
      .toBuffer();
    for (const bytes of [svg, Buffer.alloc(0), Buffer.from('hello'), whole.subarray(0, whole.length / 2), pngOf(900, 900)]) {
      await expect(preprocessImage(bytes, preprocessing, LIMITS)).rejects.toMatchObject({ code: 'INVALID_IMAGE' });
    }
  });

  it('never does more than refuse damaged bytes', async () => {
    const preprocessing = imagePreprocessing({ width: 4, height: 4, channels: 3, layout: 'HWC' });
    const images = [
      await colours.clone().png().toBuffer(),
      await colours.clone().jpeg().toBuffer(),
      await colours.clone().webp().toBuffer(),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...images),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        async (image, changes) => {
          const damaged = Buffer.from(image);
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
          const result = await preprocessImage(damaged, preprocessing, LIMITS).catch((error: unknown) => error);
          if (!(result instanceof SlipwayError)) expect(result).toMatchObject({ shape: [1, 4, 4, 3] });
        },
      ),
      { numRuns: 200 },
    );
  });
});
