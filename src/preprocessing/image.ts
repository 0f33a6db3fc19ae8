import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { ImagePreprocessing } from '../packages/manifest.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Raster formats that are decoded. SVG and PDF are not: they can refer to files and addresses outside the body. */
const FORMATS = ['png', 'jpeg', 'webp', 'gif', 'tiff'];

export interface ImageLimits {
  /** Most pixels of an image; checked on its header, before anything is decoded. */
  readonly maxImagePixels: number;
}

type Sharp = (typeof import('sharp'))['default'];
type Metadata = Awaited<ReturnType<ReturnType<Sharp>['metadata']>>;

/** Loaded with the first image: servers without image models pay neither its start nor its memory. */
async function loadSharp(): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  // Every image is another one, so a cache of decoded ones only holds memory; and one image is one core's work.
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}

function invalid(cause: unknown): SlipwayError {
  return new SlipwayError('INVALID_IMAGE', `The image cannot be decoded: ${messageOf(cause)}.`, { cause });
}

function toTensor(pixels: Uint8Array, { width, height, channels, layout, scale, mean, std }: ImagePreprocessing): Tensor {
  const area = width * height;
  const data = new Float32Array(area * channels);
  for (let channel = 0; channel < channels; channel += 1) {
    const offset = mean?.[channel] ?? 0;
    const divisor = std?.[channel] ?? 1;
    for (let index = 0; index < area; index += 1) {
      const value = (pixels[index * channels + channel]! * scale - offset) / divisor;
      data[layout === 'CHW' ? channel * area + index : index * channels + channel] = value;
    }
  }
  const shape = layout === 'CHW' ? [1, channels, height, width] : [1, height, width, channels];
  return { dtype: 'FP32', shape, data };
}

/** What the header of an image says; nothing is decoded yet. */
async function readHeader(sharp: Sharp, bytes: Uint8Array, maxImagePixels: number): Promise<Metadata> {
  let header: Metadata;
  try {
    header = await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw invalid(error);
  }
  if (!FORMATS.includes(header.format)) throw invalid(`${header.format} is not read; send one of ${FORMATS.join(', ')}`);
  const pixels = header.width * header.height;
  if (pixels <= maxImagePixels) return header;
  throw new SlipwayError(
    'IMAGE_TOO_LARGE',
    `The image has ${header.width}×${header.height} = ${pixels} pixels; at most ${maxImagePixels} are decoded.`,
  );
}

/** The size of an image as it is shown, turned as its EXIF orientation says. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
  /** 1 = greyscale, 3 = colours; transparency is not counted. */
  readonly channels: 1 | 3;
}

function sizeOf({ width, height, orientation = 1, channels }: Metadata): ImageSize {
  // EXIF orientations from 5 on lie on their side.
  const turned = orientation >= 5;
  return { width: turned ? height : width, height: turned ? width : height, channels: channels < 3 ? 1 : 3 };
}

/** How pixels are to lie: of which size, and what happens on the way there. */
export type PixelSpec = Pick<ImagePreprocessing, 'width' | 'height' | 'channels' | 'fit' | 'background'>;

/** @returns levels 0–255, row by row, the channels of a pixel side by side. */
async function pixelsOf(image: ReturnType<Sharp>, own: Omit<ImageSize, 'channels'>, spec: PixelSpec): Promise<Uint8Array> {
  const { width, height, channels, fit, background: grey } = spec;
  const background = { r: grey, g: grey, b: grey };
  let made = image.autoOrient().flatten({ background });
  // An image of the right size keeps its exact pixels.
  if (own.width !== width || own.height !== height) made = made.resize(width, height, { fit, background });
  made = channels === 1 ? made.greyscale() : made.toColourspace('srgb');
  const { data, info } = await made.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) throw new Error(`it has ${info.channels} channels after conversion, not ${channels}`);
  return data;
}

/**
 * The pixels of an image file: levels 0–255, row by row, the channels of a pixel side by side.
 * @throws SlipwayError INVALID_IMAGE, IMAGE_TOO_LARGE
 */
export async function decodeImage(bytes: Uint8Array, spec: PixelSpec, { maxImagePixels }: ImageLimits): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const header = await readHeader(sharp, bytes, maxImagePixels);
  try {
    return await pixelsOf(sharp(bytes, { failOn: 'error', limitInputPixels: maxImagePixels }), sizeOf(header), spec);
  } catch (error) {
    throw invalid(error);
  }
}

/** Pixels of one size as those of another, by the same rules as `decodeImage`. */
export async function resizePixels(pixels: Uint8Array, own: ImageSize, spec: PixelSpec): Promise<Uint8Array> {
  const sharp = await loadSharp();
  return pixelsOf(sharp(pixels, { raw: own }), own, spec);
}

/**
 * Decodes an image file as a whole, to see that it can be, and gives its size.
 * @throws SlipwayError INVALID_IMAGE, IMAGE_TOO_LARGE
 */
export async function checkImage(bytes: Uint8Array, { maxImagePixels }: ImageLimits): Promise<ImageSize> {
  const sharp = await loadSharp();
  const size = sizeOf(await readHeader(sharp, bytes, maxImagePixels));
  await decodeImage(bytes, { ...size, fit: 'fill', background: 0 }, { maxImagePixels });
  return size;
}

/**
 * Makes the input tensor of a model from an image file: FP32, shape [1, channels, height, width] or
 * [1, height, width, channels], values (pixel × scale − mean) ÷ std.
 * @throws SlipwayError INVALID_IMAGE, IMAGE_TOO_LARGE
 */
export async function preprocessImage(bytes: Uint8Array, preprocessing: ImagePreprocessing, limits: ImageLimits): Promise<Tensor> {
  return toTensor(await decodeImage(bytes, preprocessing, limits), preprocessing);
}
