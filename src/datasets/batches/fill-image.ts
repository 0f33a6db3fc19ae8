import type { ImagePreprocessing } from '../../packages/manifest.ts';
import { type Fill, levelsOf } from './fill.ts';

/** Where the pixels of an image are in each row of a file: row by row, the channels of a pixel side by side. */
export interface PixelPlace {
  readonly rowBytes: number;
  readonly offset: number;
}

/** Writes images into a tensor. */
export function fillImage(spec: ImagePreprocessing, { rowBytes, offset }: PixelPlace): Fill<Float32Array> {
  const { width, height, channels, layout } = spec;
  const area = height * width;
  const levels = Array.from({ length: channels }, (_levels, channel) =>
    levelsOf({ scale: spec.scale, mean: spec.mean?.[channel] ?? 0, std: spec.std?.[channel] ?? 1 }),
  );
  /** Of neighbouring pixels of one channel, in the tensor; channels lie side by side in the record. */
  const step = layout === 'CHW' ? 1 : channels;
  const channelStep = layout === 'CHW' ? area : 1;
  const elements = area * channels;
  if (step === channels && spec.mean === undefined && spec.std === undefined) {
    // All channels are read alike, and they lie in the tensor as they do in the record.
    const [all] = levels as [Float32Array];
    return ({ bytes }, records, from, to, data, row) => {
      for (let index = from; index < to; index += 1) {
        const start = records[index]! * rowBytes + offset;
        const first = (row + index - from) * elements;
        for (let element = 0; element < elements; element += 1) data[first + element] = all[bytes[start + element]!]!;
      }
    };
  }
  return ({ bytes }, records, from, to, data, row) => {
    for (let index = from; index < to; index += 1) {
      const start = records[index]! * rowBytes + offset;
      const first = (row + index - from) * elements;
      for (let channel = 0; channel < channels; channel += 1) {
        const own = levels[channel]!;
        let target = first + channel * channelStep;
        for (let source = start + channel, end = source + elements; source < end; source += channels, target += step) {
          data[target] = own[bytes[source]!]!;
        }
      }
    }
  };
}
